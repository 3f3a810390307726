/**
 * xoshiro128**, https://prng.di.unimi.it/xoshiro128starstar.c, its state filled by splitmix32. The same
 * seed gives the same numbers on every machine.
 *
 * @param seed an integer; its low 32 bits count
 * @returns a function that gives the next number, uniform in [0, 1), a multiple of 2^-32
 */
export function seededRandom(seed: number): () => number {
  const s = new Uint32Array(4)
  for (let i = 0, x = seed >>> 0; i < 4; i++) {
    x = (x + 0x9e3779b9) >>> 0
    let z = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    s[i] = z ^ (z >>> 15)
  }
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(s[1], 5), 7), 9) >>> 0
    const t = s[1] << 9
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotateLeft(s[3], 11)
    return result / 2 ** 32
  }
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits))
}
