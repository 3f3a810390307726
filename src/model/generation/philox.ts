const MULTIPLIER = 0xd256d193
const WEYL = 0x9e3779b9
const ROUNDS = 10

/**
 * Philox2x32-10: 32 uniform bits for a position, given a seed; the same on every machine. A number needs none of those
 * before it, so that a draw can be repeated. J. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (2011).
 *
 * @param seed an integer in [0, 2^53)
 * @param position an integer in [0, 2^32)
 */
export function randomBits(seed: number, position: number): number {
  let key = seed >>> 0
  let left = position >>> 0
  let right = Math.floor(seed / 2 ** 32)
  for (let round = 0; round < ROUNDS; round++) {
    const high = multiplyHigh(MULTIPLIER, left)
    const low = Math.imul(MULTIPLIER, left) >>> 0
    left = (high ^ key ^ right) >>> 0
    right = low
    key = (key + WEYL) >>> 0
  }
  return left
}

/** floor(a * b / 2^32) of two uint32 */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff]
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carried = aLow * bHigh + (middle % 2 ** 16)
  return aHigh * bHigh + Math.floor(middle / 2 ** 16) + Math.floor(carried / 2 ** 16)
}
