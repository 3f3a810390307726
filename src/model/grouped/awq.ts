import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { Packing } from '../config/packing.js'
import type { LinearSpec } from '../config/parameters.js'
import type { GroupedWeight } from './grouped-weight.js'
import { consecutiveGroups } from './groups.js'
import { checkNoBias, checkWhole, readScales, readZeros, rowBlocks } from './k-major.js'
import { NibbleRows } from './nibble-rows.js'
import { rowsOf } from './packed-tensors.js'
import { nibbleOf, PER_WORD } from './words.js'

/*
 * AWQ's `gemm` version with four bits, of a Linear [N, K]:
 *
 *   qweight  I32 [K, N / 8]: 8 output channels an int32, those of even number in its low half
 *   qzeros   I32 [G, N / 8]: zero points in the same order
 *   scales   float [G, N]
 */

/** The nibble, low ones first, of each of 8 output channels. */
const PLACES = [0, 4, 1, 5, 2, 6, 3, 7]

/** The nibble of output channel i of the eight. */
function nibbleOfChannel(word: number, i: number): number {
  return nibbleOf(word, PLACES[i])
}

/** @throws FormatError if a tensor is missing, of another shape or dtype, or contradicts the others */
export async function openAwq(
  reader: TensorReader,
  spec: LinearSpec,
  packing: Packing,
): Promise<GroupedWeight> {
  const { name, inFeatures: K, outFeatures: N } = spec
  const scale = `${name}.scales`
  checkWhole(reader, spec, 'outputs', N)
  await checkNoBias(reader, spec)
  const groups = rowsOf(reader.checkpoint, scale)
  const groupOf = consecutiveGroups(reader, scale, groups, K, packing)
  const scales = await readScales(reader, scale, groups, N)
  const zeros = await readZeros(reader, `${name}.qzeros`, groups, N, nibbleOfChannel)
  const columns = N / PER_WORD
  const rowBytes = Math.ceil(K / 2)
  const nibbles = new Uint8Array(N * rowBytes)
  for await (const { first, count, words } of rowBlocks(reader, `${name}.qweight`, [K, columns])) {
    for (let n = 0; n < N; n++) {
      const [column, channel] = [Math.floor(n / PER_WORD), n % PER_WORD]
      for (let i = 0, k = first; i < count; i++, k++) {
        const u = nibbleOfChannel(words[i * columns + column], channel)
        nibbles[n * rowBytes + (k >> 1)] |= u << (4 * (k & 1))
      }
    }
  }
  return new NibbleRows(N, {
    ...{ groupOf, scales, zeros, rowBytes },
    nibbles: (first, last) => nibbles.subarray(first * rowBytes, last * rowBytes),
  })
}
