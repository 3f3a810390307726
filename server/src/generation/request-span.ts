import {
  type Attributes,
  context,
  isSpanContextValid,
  propagation,
  type Span,
  SpanKind,
  trace,
} from '@opentelemetry/api'
import type { GenerationResult } from 'dotpool'
import type { FastifyRequest } from 'fastify'
import { ClientGoneError } from '../request-scope.js'
import type { GenerationBody, UsageBody } from '../schemas/common.js'
import { idsOf, type SpanIds, setError, tracer } from '../spans.js'

/** What a request asks for, as OpenTelemetry's conventions for generative AI name it. */
export type Operation = 'chat' | 'text_completion' | 'embeddings'

/** What it has come to. */
export interface Outcome {
  readonly usage: UsageBody
  readonly results: readonly GenerationResult[]
  /** Why it failed, if it did. */
  readonly error: unknown
}

/**
 * The span of a request, by OpenTelemetry's semantic conventions for generative AI: a child of the span that an app has
 * for it, else of the one that its `traceparent` names. Where no SDK is registered, it does nothing.
 */
export class RequestSpan {
  readonly #span: Span
  readonly #headers: FastifyRequest['headers']

  constructor(
    { headers, hostname, port }: FastifyRequest,
    operation: Operation,
    model: string,
    body: Partial<GenerationBody>,
  ) {
    const isInApp = trace.getActiveSpan() !== undefined
    const parent = isInApp ? context.active() : propagation.extract(context.active(), headers)
    const attributes: Attributes = {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': 'dotpool',
      'gen_ai.request.model': model,
      'server.address': hostname,
      'server.port': port ?? undefined,
      ...requestAttributes(body),
    }
    const kind = isInApp ? SpanKind.INTERNAL : SpanKind.SERVER
    this.#span = tracer.startSpan(`${operation} ${model}`, { kind, attributes }, parent)
    this.#headers = headers
  }

  /** What a log line names, so that it is found by its trace. */
  get ids(): SpanIds {
    if (isSpanContextValid(this.#span.spanContext())) return idsOf(this.#span)
    const traceId = traceIdOf(this.#headers.traceparent)
    return traceId === undefined ? {} : { trace_id: traceId }
  }

  /** The headers by which the work in another process is a part of this; the client's own where there is no SDK. */
  get carrier(): Record<string, string> {
    const carrier: Record<string, string> = {}
    if (isSpanContextValid(this.#span.spanContext())) {
      propagation.inject(trace.setSpan(context.active(), this.#span), carrier)
      return carrier
    }
    for (const name of ['traceparent', 'tracestate']) {
      const value = this.#headers[name]
      if (typeof value === 'string') carrier[name] = value
    }
    return carrier
  }

  end({ usage, results, error }: Outcome): void {
    const span = this.#span
    const seconds = (millis: number | undefined) => millis && millis / 1000
    // a request's first choice is the first to be admitted
    const timing = results[0]?.timing
    span.setAttributes({
      'gen_ai.usage.input_tokens': usage.prompt_tokens,
      'gen_ai.usage.output_tokens': usage.completion_tokens,
      'gen_ai.usage.cache_read.input_tokens': usage.prompt_tokens_details.cached_tokens,
      // as vLLM has them
      'gen_ai.latency.time_in_queue': seconds(timing?.queueMillis),
      'gen_ai.latency.time_to_first_token': seconds(timing?.firstTokenMillis),
    })
    if (error === undefined) {
      const reasons = results.map(({ finishReason }) => finishReason)
      span.setAttribute('gen_ai.response.finish_reasons', reasons)
    } else if (error instanceof ClientGoneError) span.setAttribute('error.type', 'client_gone')
    else setError(span, error)
    span.end()
  }
}

function requestAttributes(body: Partial<GenerationBody>): Attributes {
  const { n, stop } = body
  const attributes = {
    'gen_ai.request.temperature': body.temperature,
    'gen_ai.request.top_p': body.top_p,
    'gen_ai.request.top_k': body.top_k,
    'gen_ai.request.max_tokens': body.max_tokens,
    'gen_ai.request.frequency_penalty': body.frequency_penalty,
    'gen_ai.request.presence_penalty': body.presence_penalty,
    'gen_ai.request.stop_sequences': typeof stop === 'string' ? [stop] : stop,
    'gen_ai.request.seed': body.seed,
    'gen_ai.request.choice.count': n === 1 ? undefined : n,
  }
  // clients send null for what they leave open
  const given = Object.entries(attributes).filter(([, value]) => value != null)
  return Object.fromEntries(given) as Attributes
}

/** Of W3C's trace context: https://www.w3.org/TR/trace-context */
function traceIdOf(traceparent: string | string[] | undefined): string | undefined {
  if (typeof traceparent !== 'string') return undefined
  const id = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/.exec(traceparent)?.[1]
  return id !== undefined && /[^0]/.test(id) ? id : undefined
}
