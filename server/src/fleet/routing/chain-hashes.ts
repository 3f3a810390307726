/** Tokens of a block, whose hash stands for all tokens up to its end. A multiple of the 64 tokens of a KV page. */
export const BLOCK = 64

/* Odd constants of xxHash32, and of its finaliser. */
const A1 = 0x9e3779b1
const A2 = 0x85ebca77
const B1 = 0xc2b2ae3d
const B2 = 0x27d4eb2f

/**
 * Hashes of the prefixes of a prompt that end with a whole block: `hashes[i]` is of the first `(i + 1) * BLOCK` tokens, so
 * two prompts have it in common if, and but for chance only if, they begin with the same tokens.
 *
 * Not cryptographic: prompts that collide are sent to a worker that does not know them, which costs time and changes no
 * answer.
 *
 * @param tokens of a prompt
 * @param model whose tokens they are: its fingerprint, since prefixes of other weights are worth nothing
 * @returns integers below 2^53
 */
export function chainHashes(tokens: ArrayLike<number>, model: string): number[] {
  let a = A2
  let b = B2
  for (let i = 0; i < model.length; i++) {
    const unit = model.charCodeAt(i)
    a = round(a, unit, A2, A1, 13)
    b = round(b, unit, B1, B2, 17)
  }
  const hashes = new Array<number>(Math.floor(tokens.length / BLOCK))
  for (let i = 0, at = 0; i < hashes.length; i++) {
    for (const end = at + BLOCK; at < end; at++) {
      a = round(a, tokens[at], A2, A1, 13)
      b = round(b, tokens[at], B1, B2, 17)
    }
    // 53 bits of both lanes, each mixed with the other
    const high = finish(a ^ Math.imul(b, A1)) >>> 11
    const low = finish(b ^ Math.imul(a, B1)) >>> 0
    hashes[i] = high * 2 ** 32 + low
  }
  return hashes
}

function round(lane: number, word: number, add: number, multiply: number, bits: number): number {
  const sum = (lane + Math.imul(word, add)) | 0
  return Math.imul((sum << bits) | (sum >>> (32 - bits)), multiply)
}

function finish(lane: number): number {
  let x = Math.imul(lane ^ (lane >>> 15), A2)
  x = Math.imul(x ^ (x >>> 13), B1)
  return x ^ (x >>> 16)
}
