import type { GenerationChunk, Model, ResponseFormat } from 'dotpool'
import {
  decodeTokens,
  type EmbedMessage,
  encodeVector,
  type GenerateMessage,
  toWireFloat,
  type WireChunk,
} from '../messages.js'
import type { Teller } from './teller.js'

/** Nobody waits for an attempt: its gateway has said so, or is gone. */
export class CancelledError extends Error {}

/** What an attempt has come to, for the log. */
export interface Outcome {
  readonly promptTokens: number
  readonly cachedTokens?: number
  readonly completionTokens: number
  readonly finishReason?: string
}

/** One try of a request, on a model of this worker. */
export class Attempt {
  readonly id: string
  readonly gateway: string
  readonly #controller = new AbortController()
  /** Until the reader has room. */
  #paused: { readonly room: Promise<void>; readonly resume: () => void } | undefined

  constructor({ attempt, gateway }: { readonly attempt: string; readonly gateway: string }) {
    this.id = attempt
    this.gateway = gateway
  }

  /** Aborts once nobody wants it any more, or another worker is to do it. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get isCancelled(): boolean {
    return this.signal.reason instanceof CancelledError
  }

  /** Ends it. @param reason that its gateway is told, unless it is cancelled */
  end(reason: Error): void {
    this.#controller.abort(reason)
    this.resume()
  }

  /** The reader has no room for more. */
  pause(): void {
    if (!this.signal.aborted) this.#paused ??= openable()
  }

  resume(): void {
    this.#paused?.resume()
    this.#paused = undefined
  }

  /** @param group of texts that are taken all, or none */
  async generate(
    model: Model,
    { prompt, options, resumeAfter }: GenerateMessage,
    group: object | undefined,
    teller: Teller,
  ): Promise<Outcome> {
    const { sampling, responseFormat, ...others } = options
    const run = model.generate(decodeTokens(prompt), {
      ...others,
      sampling: { ...sampling, logitBias: toBiases(sampling.logitBias) },
      // the library checks what it is
      responseFormat: responseFormat as ResponseFormat | undefined,
      resumeAfter: resumeAfter === undefined ? undefined : decodeTokens(resumeAfter),
      group,
      signal: this.signal,
    })
    let tail = ''
    for await (const chunk of run.chunks()) {
      // what follows the last token is told with the end
      if (chunk.tokens.length === 0) tail += chunk.text
      else teller.push(toWireChunk(chunk))
      await this.#paused?.room
    }
    const { finishReason, usage, timing } = await run.result
    teller.end({
      result: { text: tail, finishReason, usage, queueMillis: timing.queueMillis ?? 0 },
    })
    return { ...usage, finishReason }
  }

  async embed(model: Model, { texts, dimensions }: EmbedMessage, teller: Teller): Promise<Outcome> {
    const tokens = texts.map(decodeTokens)
    const vectors = await model.embed(tokens, { dimensions, signal: this.signal })
    teller.end({ vectors: vectors.map(encodeVector) })
    const promptTokens = tokens.reduce((sum, { length }) => sum + length, 0)
    return { promptTokens, completionTokens: 0 }
  }
}

function toWireChunk({ text, tokens, logprobs }: GenerationChunk): WireChunk {
  if (logprobs === undefined) return { text, tokens: [...tokens] }
  const told = logprobs.map(({ token, logprob, top }) => ({
    token,
    logprob: toWireFloat(logprob),
    top: top.map((one) => ({ token: one.token, logprob: toWireFloat(one.logprob) })),
  }))
  return { text, tokens: [...tokens], logprobs: told }
}

function toBiases(
  biases: GenerateMessage['options']['sampling']['logitBias'],
): Record<number, number> | undefined {
  if (biases === undefined) return undefined
  return Object.fromEntries(Object.entries(biases).map(([token, bias]) => [token, Number(bias)]))
}

function openable(): { room: Promise<void>; resume: () => void } {
  let open = () => {}
  const room = new Promise<void>((resolve) => {
    open = resolve
  })
  return { room, resume: () => open() }
}
