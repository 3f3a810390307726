import { makeId } from '../ids.js'

/** What became of a line: one of an output or error file, as OpenAI's API has them. */
export interface LineResult {
  readonly id: string
  readonly custom_id: string
  readonly response: {
    readonly status_code: number
    readonly request_id: string
    readonly body: unknown
  } | null
  /** Why there is no response. */
  readonly error: { readonly code: string; readonly message: string } | null
}

/** A success goes into the output file, anything else into the error file. */
export function isSuccess({ response }: LineResult): boolean {
  return response !== null && response.status_code < 300
}

/** Of a line that was answered, with whatever status. */
export function answered(
  customId: string,
  { statusCode, requestId, body }: { statusCode: number; requestId: string; body: unknown },
): LineResult {
  const response = { status_code: statusCode, request_id: requestId, body }
  return { id: makeId('batch_req'), custom_id: customId, response, error: null }
}

/** Of a line that never ran. */
export function unanswered(customId: string, code: string, message: string): LineResult {
  return { id: makeId('batch_req'), custom_id: customId, response: null, error: { code, message } }
}
