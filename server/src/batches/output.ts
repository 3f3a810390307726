import { nowSeconds } from '../ids.js'
import type { Batch } from '../schemas/batches.js'
import { fileIdOf } from './ids.js'
import type { BatchLine } from './line.js'
import { isSuccess, type LineResult, unanswered } from './result.js'
import type { BatchStore } from './store.js'

/** Results that are asked for ahead: over a network each takes a while. */
const AHEAD = 64

/** Why a line has not run. */
const reasons = {
  completed: ['batch_incomplete', 'This request has no result.'],
  expired: [
    'batch_expired',
    'This request could not be executed before the completion window expired.',
  ],
  cancelled: ['batch_cancelled', 'This request was not executed, since the batch was cancelled.'],
} as const

/**
 * Writes the output file of a batch, and the file of its errors, in the order of its lines: of those without a result
 * the latter says why. A file without lines is left out. Whoever does so again writes the same files again.
 *
 * @param lines reads the batch's lines
 */
export async function writeOutput(
  { files, results }: BatchStore,
  batch: Batch,
  end: keyof typeof reasons,
  lines: () => AsyncIterable<BatchLine>,
): Promise<Pick<Batch, 'output_file_id' | 'error_file_id' | 'request_counts'>> {
  const counts = { completed: 0, failed: 0 }
  const [code, message] = reasons[end]
  const resultOf = async ({ number, customId }: BatchLine) => {
    return (await results.get(batch.id, number)) ?? unanswered(customId, code, message)
  }
  const write = async (kind: 'output' | 'error', isWanted: (result: LineResult) => boolean) => {
    async function* content() {
      for await (const result of mapAhead(lines(), resultOf)) {
        if (isWanted(result)) yield Buffer.from(`${JSON.stringify(result)}\n`)
      }
    }
    const description = {
      id: fileIdOf(batch.id, kind),
      object: 'file' as const,
      created_at: nowSeconds(),
      filename: `${batch.id}_${kind}.jsonl`,
      purpose: 'batch_output' as const,
      status: 'processed' as const,
    }
    const { id, bytes } = await files.put(description, content())
    if (bytes > 0) return id
    await files.delete(id)
    return null
  }
  const output_file_id = await write('output', (result) => {
    if (isSuccess(result)) counts.completed++
    else if (result.response !== null) counts.failed++
    return isSuccess(result)
  })
  const error_file_id = await write('error', (result) => !isSuccess(result))
  const { total } = batch.request_counts
  return { output_file_id, error_file_id, request_counts: { total, ...counts } }
}

/** Maps items in their order, some at the same time. */
async function* mapAhead<Item, Mapped>(
  items: AsyncIterable<Item>,
  map: (item: Item) => Promise<Mapped>,
): AsyncGenerator<Mapped, void, void> {
  const pending: Promise<Mapped>[] = []
  for await (const item of items) {
    const mapped = map(item)
    // whoever awaits it is told
    mapped.catch(() => {})
    pending.push(mapped)
    if (pending.length >= AHEAD) yield (await pending.shift()) as Mapped
  }
  for (const mapped of pending) yield await mapped
}
