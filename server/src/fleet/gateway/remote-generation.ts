import { randomInt, randomUUID } from 'node:crypto'
import type { GenerationChunk, GenerationResult, TokenLogprobs } from 'dotpool'
import type { ServedGeneration, ServedOptions } from '../../models/served-model.js'
import {
  encodeTokens,
  type TellMessage,
  toWireFloat,
  type WireChunk,
  type WireResult,
} from '../messages.js'
import { chainHashes } from '../routing/chain-hashes.js'
import { ChunkQueue } from './chunk-queue.js'
import { RemoteWork, type WorkParts } from './remote-work.js'

/** Seeds that nobody chose. */
const SEEDS = 2 ** 48 - 1

/** Chunks that may lie unread before the worker is told to wait, and how few it takes to go on. */
const MOST_UNREAD = 256
const FEW_UNREAD = 64

/** Texts that are taken all, or none. */
interface Group {
  /** On the way to workers. */
  readonly name: string
  /** A worker has told something of one of them. */
  hasBegun: boolean
}

const groups = new WeakMap<object, Group>()

/** A text that a fleet generates. It begins when it is first read, or its result is asked for. */
export class RemoteGeneration extends RemoteWork implements ServedGeneration {
  protected readonly ask = 'generate'
  readonly #prompt: ArrayLike<number>
  readonly #options: object
  readonly #group: Group | undefined
  readonly #queue = new ChunkQueue<GenerationChunk>()
  readonly #start = performance.now()
  #firstTokenMillis: number | undefined
  readonly #tokens: number[] = []
  #text = ''
  readonly #logprobs: TokenLogprobs[] = []
  #isPaused = false
  /** Somebody wants the result, whether chunks are read or not. */
  #isUnbounded = false
  #settle!: { resolve(result: GenerationResult): void; reject(error: unknown): void }
  readonly #result: Promise<GenerationResult>

  constructor(parts: WorkParts, prompt: ArrayLike<number>, options: ServedOptions) {
    const { signal, group, ...others } = options
    const hashes = chainHashes(prompt, parts.variant.name)
    super(parts, { hashes, promptTokens: prompt.length }, signal)
    this.#prompt = prompt
    this.#options = toWireOptions(others)
    this.#group = group && groupOf(group)
    this.#result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // readers are told, too
    this.#result.catch(() => {})
  }

  get result(): Promise<GenerationResult> {
    this.#isUnbounded = true
    this.#flowOn()
    this.begin()
    return this.#result
  }

  async *chunks(): AsyncGenerator<GenerationChunk, void, void> {
    this.begin()
    try {
      for (;;) {
        const chunk = await this.#queue.read()
        if (chunk === undefined) return
        if (this.#queue.size <= FEW_UNREAD) this.#flowOn()
        yield chunk
      }
    } finally {
      this.#cancel()
    }
  }

  async return(): Promise<IteratorResult<string, void>> {
    this.#cancel()
    return { done: true, value: undefined }
  }

  protected get message(): object {
    return {
      prompt: encodeTokens(this.#prompt),
      options: this.#options,
      ...(this.#group !== undefined && { group: this.#group.name }),
      ...(this.#tokens.length > 0 && { resumeAfter: encodeTokens(this.#tokens) }),
    }
  }

  protected get othersHaveBegun(): boolean {
    return this.#group?.hasBegun ?? false
  }

  protected take({ chunks = [], result }: TellMessage): boolean {
    if (this.#group !== undefined) this.#group.hasBegun = true
    for (const chunk of chunks) this.#push(fromWireChunk(chunk))
    if (result === undefined) {
      if (!this.#isUnbounded && this.#queue.size > MOST_UNREAD) this.#pause()
      return false
    }
    if (result.text !== '') this.#push({ text: result.text, tokens: [] })
    this.#resolve(result)
    this.#queue.end()
    return true
  }

  protected fail(error: unknown): void {
    this.#settle.reject(error)
    this.#queue.fail(error)
  }

  protected abort(reason: unknown): void {
    this.#queue.clear()
    this.#resolveAborted()
    this.#queue.fail(reason)
    this.end()
  }

  #cancel(): void {
    this.#queue.clear()
    this.#resolveAborted()
    this.#queue.end()
    this.end()
  }

  #push(chunk: GenerationChunk): void {
    if (chunk.tokens.length > 0) this.#firstTokenMillis ??= performance.now() - this.#start
    this.#text += chunk.text
    this.#tokens.push(...chunk.tokens)
    if (chunk.logprobs !== undefined) this.#logprobs.push(...chunk.logprobs)
    this.#queue.push(chunk)
  }

  #pause(): void {
    this.#isPaused = true
    this.flow(true)
  }

  #flowOn(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.flow(false)
  }

  #resolveAborted(): void {
    const promptTokens = this.hasBegun ? this.#prompt.length : 0
    const usage = { promptTokens, cachedTokens: 0, completionTokens: this.#tokens.length }
    this.#resolve({ text: '', finishReason: 'aborted', usage, queueMillis: undefined })
  }

  #resolve({ finishReason, usage, queueMillis }: Ended): void {
    this.#settle.resolve({
      text: this.#text,
      tokens: this.#tokens,
      finishReason,
      usage,
      timing: {
        queueMillis,
        firstTokenMillis: this.#firstTokenMillis,
        millis: performance.now() - this.#start,
      },
      logprobs: this.#logprobs.length === 0 ? undefined : this.#logprobs,
    })
  }
}

type Ended = Omit<WireResult, 'queueMillis'> & { readonly queueMillis: number | undefined }

/** With a seed, so that every worker samples the same. */
function toWireOptions({
  sampling = {},
  ...others
}: Omit<ServedOptions, 'signal' | 'group'>): object {
  const { logitBias, seed = randomInt(SEEDS), ...numbers } = sampling
  const biases = logitBias && Object.entries(logitBias)
  const wireBias = biases?.map(([token, bias]) => [token, toWireFloat(bias)])
  return {
    ...others,
    sampling: { ...numbers, seed, ...(wireBias && { logitBias: Object.fromEntries(wireBias) }) },
  }
}

function groupOf(key: object): Group {
  const group = groups.get(key) ?? { name: randomUUID(), hasBegun: false }
  groups.set(key, group)
  return group
}

function fromWireChunk({ text, tokens, logprobs }: WireChunk): GenerationChunk {
  if (logprobs === undefined) return { text, tokens }
  const told = logprobs.map(({ token, logprob, top }) => ({
    token,
    logprob: Number(logprob),
    top: top.map((one) => ({ token: one.token, logprob: Number(one.logprob) })),
  }))
  return { text, tokens, logprobs: told }
}
