import { isSpanContextValid, type Span, SpanStatusCode, trace } from '@opentelemetry/api'
import { toApiError } from './errors.js'
import { version } from './version.js'

export const tracer = trace.getTracer('@dotpool/server', version)

/** What a log line names of a span, so that it is found by its trace. Nothing where no SDK is registered. */
export interface SpanIds {
  readonly trace_id?: string
  readonly span_id?: string
}

export function idsOf(span: Span): SpanIds {
  const own = span.spanContext()
  return isSpanContextValid(own) ? { trace_id: own.traceId, span_id: own.spanId } : {}
}

/** Says of a span why its work has failed. What is a client's mistake is no error of the server. */
export function setError(span: Span, error: unknown): void {
  const { statusCode, code, message } = toApiError(error)
  span.setAttribute('error.type', code ?? String(statusCode))
  if (statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR, message })
}
