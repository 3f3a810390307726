import { ApiError } from '../errors.js'
import { nowSeconds } from '../ids.js'
import type { Batch, BatchBody, BatchError } from '../schemas/batches.js'
import { makeOrderedId } from './ids.js'

/** A batch that was just created. */
export function beginBatch({
  input_file_id,
  endpoint,
  completion_window,
  metadata,
}: BatchBody): Batch {
  const created_at = nowSeconds()
  return {
    id: makeOrderedId('batch_'),
    object: 'batch',
    endpoint,
    errors: null,
    input_file_id,
    completion_window,
    status: 'validating',
    output_file_id: null,
    error_file_id: null,
    created_at,
    in_progress_at: null,
    expires_at: created_at + toSeconds(completion_window),
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    request_counts: { total: 0, completed: 0, failed: 0 },
    metadata: metadata ?? null,
  }
}

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 }

/** @param window such as `24h`, by the schema */
function toSeconds(window: string): number {
  const unit = window.at(-1) as keyof typeof unitSeconds
  return Number(window.slice(0, -1)) * unitSeconds[unit]
}

/** Nothing changes any more. */
export function isOver({ status }: Batch): boolean {
  return (
    status === 'completed' || status === 'failed' || status === 'expired' || status === 'cancelled'
  )
}

/** Its input is in order, and its lines wait. */
export function toInProgress(batch: Batch, total: number): Batch {
  const request_counts = { total, completed: 0, failed: 0 }
  return { ...batch, status: 'in_progress', in_progress_at: nowSeconds(), request_counts }
}

export function toFailed(batch: Batch, data: BatchError[]): Batch {
  const errors = { object: 'list' as const, data }
  return { ...batch, status: 'failed', failed_at: nowSeconds(), errors }
}

/** All its lines have results. */
export function toFinalizing(batch: Batch): Batch {
  return { ...batch, status: 'finalizing', finalizing_at: nowSeconds() }
}

/** @throws ApiError where there is nothing to cancel */
export function toCancelling(batch: Batch): Batch | undefined {
  const { status } = batch
  if (status === 'cancelling') return undefined
  if (status === 'validating' || status === 'in_progress') {
    return { ...batch, status: 'cancelling', cancelling_at: nowSeconds() }
  }
  const message = `a batch with the status ${status} cannot be cancelled`
  throw new ApiError(409, message, { code: 'invalid_batch_status' })
}

/** How a batch ends whose files are there. */
export type End = 'completed' | 'expired' | 'cancelled'

export function toEnd(
  batch: Batch,
  end: End,
  files: Pick<Batch, 'output_file_id' | 'error_file_id' | 'request_counts'>,
): Batch {
  return { ...batch, ...files, status: end, [`${end}_at`]: nowSeconds() }
}
