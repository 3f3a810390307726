import { ArgumentError, checkInteger, describe } from '../errors.js'
import { newArray } from '../tensor.js'
import { viewOf } from '../views.js'

/**
 * Packs int8 weights [N, K] into the SDOT layout [K/4, N/4, 4, 4] of other runtimes:
 * `packed[k / 4][n / 4][n % 4][k % 4] = w[n][k]`.
 *
 * @throws ArgumentError if K or N is no multiple of 4, or the length is not N * K
 */
export function packSdot(weight: Int8Array, inFeatures: number, outFeatures: number): Int8Array {
  return mapSdot('weight', weight, inFeatures, outFeatures, (from, out, plain, packed) => {
    out[packed] = from[plain]
  })
}

/**
 * Unpacks the SDOT layout [K/4, N/4, 4, 4] into int8 weights [N, K]; undoes {@link packSdot}.
 *
 * @throws ArgumentError if K or N is no multiple of 4, or the length is not N * K
 */
export function unpackSdot(packed: Int8Array, inFeatures: number, outFeatures: number): Int8Array {
  return mapSdot('packed', packed, inFeatures, outFeatures, (from, out, plain, packed) => {
    out[plain] = from[packed]
  })
}

function mapSdot(
  argument: string,
  values: unknown,
  inFeatures: number,
  outFeatures: number,
  move: (from: Int8Array, out: Int8Array, plain: number, packed: number) => void,
): Int8Array {
  for (const [name, size] of Object.entries({ inFeatures, outFeatures })) {
    checkInteger(name, size, 1, Number.MAX_SAFE_INTEGER)
    if (size % 4 !== 0) throw new ArgumentError(name, 'a multiple of 4', describe(size))
  }
  const from = viewOf(Int8Array, values)
  if (from?.length !== inFeatures * outFeatures) {
    const expected = `an Int8Array of ${outFeatures} * ${inFeatures} elements`
    throw new ArgumentError(argument, expected, describe(values))
  }
  const out = newArray(Int8Array, from.length)
  for (let n = 0; n < outFeatures; n++) {
    for (let k = 0; k < inFeatures; k++) {
      const quad = Math.floor(k / 4) * outFeatures + n
      move(from, out, n * inFeatures + k, quad * 4 + (k % 4))
    }
  }
  return out
}
