import { context, propagation, type Span, SpanKind } from '@opentelemetry/api'
import { idsOf, type SpanIds, setError, tracer } from '../../spans.js'
import type { EmbedMessage, GenerateMessage } from '../messages.js'
import type { Outcome } from './attempt.js'

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
  get ids(): SpanIds {
    return idsOf(this.#span)
  }

  /** @param error why it failed, if it did */
  end(outcome: Outcome | undefined, error: unknown): void {
    if (outcome !== undefined) {
      this.#span.setAttributes({
        'gen_ai.usage.input_tokens': outcome.promptTokens,
        'gen_ai.usage.output_tokens': outcome.completionTokens,
      })
    }
    if (error !== undefined) setError(this.#span, error)
    this.#span.end()
  }
}
