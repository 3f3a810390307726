import {
  context,
  isSpanContextValid,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { toApiError } from '../../errors.js'
import { version } from '../../version.js'
import type { EmbedMessage, GenerateMessage } from '../messages.js'
import type { Outcome } from './attempt.js'

const tracer = trace.getTracer('@dotpool/server', version)

/** The span of an attempt: a child of the gateway's. Where no SDK is registered, it does nothing. */
export class AttemptSpan {
  readonly #span: Span

  constructor({ model, attempt, trace: carrier, ...message }: GenerateMessage | EmbedMessage) {
    const operation = 'texts' in message ? 'embed' : 'generate'
    const parent = propagation.extract(context.active(), carrier)
    const attributes = { 'gen_ai.request.model': model, 'dotpool.attempt': attempt }
    const options = { kind: SpanKind.SERVER, attributes }
    this.#span = tracer.startSpan(`${operation} ${model}`, options, parent)
  }

  /** What a log line names, so that it is found by its trace. */
  get ids(): { trace_id?: string; span_id?: string } {
    const own = this.#span.spanContext()
    return isSpanContextValid(own) ? { trace_id: own.traceId, span_id: own.spanId } : {}
  }

  /** @param error why it failed, if it did */
  end(outcome: Outcome | undefined, error: unknown): void {
    if (outcome !== undefined) {
      this.#span.setAttributes({
        'gen_ai.usage.input_tokens': outcome.promptTokens,
        'gen_ai.usage.output_tokens': outcome.completionTokens,
      })
    }
    if (error !== undefined) {
      const { statusCode, code, message } = toApiError(error)
      this.#span.setAttribute('error.type', code ?? String(statusCode))
      if (statusCode >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR, message })
    }
    this.#span.end()
  }
}
