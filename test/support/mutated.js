import fc from 'fast-check'

/**
 * A valid file with some bytes changed, and maybe truncated.
 *
 * @param {Uint8Array} valid
 * @param {{ changes?: number, upTo?: number }} options at most `changes` changes, in the bytes below `upTo`
 * @returns {fc.Arbitrary<Uint8Array>}
 */
export function mutatedBytes(valid, { changes = 3, upTo = valid.length } = {}) {
  const value = fc.oneof(fc.nat(255), fc.constantFrom(0x7f, 0x80, 0xff))
  const change = fc.tuple(fc.nat(upTo - 1), value)
  const end = fc.oneof({ arbitrary: fc.constant(valid.length), weight: 4 }, fc.nat(valid.length))
  return fc.tuple(fc.array(change, { maxLength: changes }), end).map(([changed, length]) => {
    const bytes = Uint8Array.from(valid)
    for (const [at, byte] of changed) bytes[at] = byte
    return bytes.subarray(0, length)
  })
}

const odd = [null, true, -1, 0, 0.5, 1e9, 2 ** 53, 1e308, '', 'a', '\u0000', '{{', [], {}]

/**
 * A JSON value in which one value somewhere is changed, missing or duplicated.
 *
 * @param {unknown} valid
 * @returns {fc.Arbitrary<unknown>}
 */
export function mutatedJson(valid) {
  const value = fc.oneof({ arbitrary: fc.constantFrom(...odd), weight: 3 }, fc.jsonValue())
  return fc.tuple(fc.infiniteStream(fc.nat(63)), value, fc.nat(3)).map(([choices, to, how]) => {
    const copy = structuredClone(valid)
    /** @type {any} */
    let parent = copy
    for (;;) {
      const keys = Object.keys(parent)
      const key = keys[choices.next().value % keys.length]
      const child = parent[key]
      const isLeaf = typeof child !== 'object' || child === null || Object.keys(child).length === 0
      if (!isLeaf && choices.next().value % 4 > 0) {
        parent = child
        continue
      }
      if (how > 0) parent[key] = to
      else delete parent[key]
      return copy
    }
  })
}
