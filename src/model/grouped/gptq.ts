import type { TensorReader } from '../checkpoint/tensor-reader.js'
import type { Packing } from '../config/packing.js'
import type { LinearSpec } from '../config/parameters.js'
import type { GroupedWeight } from './grouped-weight.js'
import { consecutiveGroups, readGroups } from './groups.js'
import { checkNoBias, checkWhole, readScales, readZeros, rowBlocks } from './k-major.js'
import { NibbleRows } from './nibble-rows.js'
import { rowsOf } from './packed-tensors.js'
import { nibbleOf, PER_WORD } from './words.js'

/*
 * GPTQ with four bits, of a Linear [N, K]:
 *
 *   qweight  I32 [K / 8, N]: 8 inputs an int32, the first in the lowest bits
 *   qzeros   I32 [G, N / 8]: zero points of 8 output channels an int32; less 1 in the first version
 *   scales   float [G, N]
 *   g_idx    I32 [K]: the group of each input
 */

/** @throws FormatError if a tensor is missing, of another shape or dtype, or contradicts the others */
export async function openGptq(
  reader: TensorReader,
  spec: LinearSpec,
  packing: Packing,
): Promise<GroupedWeight> {
  const { name, inFeatures: K, outFeatures: N } = spec
  const [qweight, scale, indices] = [`${name}.qweight`, `${name}.scales`, `${name}.g_idx`]
  checkWhole(reader, spec, 'inputs', K)
  checkWhole(reader, spec, 'outputs', N)
  await checkNoBias(reader, spec)
  const groups = rowsOf(reader.checkpoint, scale)
  const ordered = reader.checkpoint.has(indices)
    ? await readGroups(reader, indices, groups, K)
    : undefined
  const groupOf = ordered ?? consecutiveGroups(reader, scale, groups, K, packing)
  const scales = await readScales(reader, scale, groups, N)
  const { zeroOffset } = packing
  const zeroOf = (word: number, i: number) => (nibbleOf(word, i) + zeroOffset) & 15
  const zeros = await readZeros(reader, `${name}.qzeros`, groups, N, zeroOf)
  const words = K / PER_WORD
  const nibbles = new Int32Array(N * words)
  for await (const block of rowBlocks(reader, qweight, [words, N])) {
    // channel by channel, so that what is written is contiguous
    for (let n = 0; n < N; n++) {
      const at = n * words + block.first
      for (let i = 0; i < block.count; i++) nibbles[at + i] = block.words[i * N + n]
    }
  }
  const bytes = new Uint8Array(nibbles.buffer)
  const rowBytes = 4 * words
  return new NibbleRows(N, {
    ...{ groupOf, scales, zeros, rowBytes },
    nibbles: (first, last) => bytes.subarray(first * rowBytes, last * rowBytes),
  })
}
