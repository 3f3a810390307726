import { createHash, randomBytes } from 'node:crypto'

let last = 0

/** A new id whose order is that of time: of kind `batch_`, the time, and what nobody can guess. */
export function makeOrderedId(prefix: 'batch_' | 'file-'): string {
  // of this process at least, when several are made within a millisecond
  last = Math.max(last + 1, Date.now())
  return `${prefix}${last.toString(16).padStart(12, '0')}${randomBytes(10).toString('hex')}`
}

/**
 * The id of a file that a batch makes: the same whoever makes it, so that it is made once. It has the time of the batch.
 *
 * @param kind of the file: output, or error
 */
export function fileIdOf(batchId: string, kind: 'output' | 'error'): string {
  const [, time] = /^batch_([0-9a-f]{12})/.exec(batchId) ?? []
  const digest = createHash('sha256').update(`${batchId} ${kind}`).digest('hex')
  return `file-${time}${digest.slice(0, 20)}`
}
