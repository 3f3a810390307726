import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { AbortableDeferred } from '../../../abort.js'
import { ArgumentError, type DotpoolError, WorkerDiedError } from '../../../errors.js'
import type { Memory } from '../../../pool/memory.js'
import { fromWire } from '../../text/thread/wire-error.js'
import type { Vocabulary } from '../engine/grammar-engine.js'
import type { ResponseFormat } from '../response-format.js'
import { GrammarText, type TextFollower } from './grammar-text.js'
import type { GrammarReply, GrammarRequest } from './grammar-worker.js'

const workerUrl = new URL('./grammar-worker.js', import.meta.url)

/** Threads that may die under a text before it is given up. */
const MAX_DEATHS = 3

/** The most memory of the thread's objects, MiB: what formats may take is bounded, far below. */
const HEAP_MIB = 1024

/** A thread without texts is ended after so long: it holds the vocabulary. */
const IDLE_MILLIS = 60_000

/**
 * The thread that finds out which tokens may be next, and the way to it. It is started with the first text, and keeps
 * the process alive while there is any. Where it dies, another one takes over.
 */
export class GrammarThread implements TextFollower {
  readonly #vocabulary: () => Vocabulary
  readonly #memory: Memory
  readonly #texts = new Map<number, GrammarText>()
  /** Texts whose first masks are not there. */
  readonly #opening = new Map<GrammarText, () => void>()
  /** The thread may still write their masks, whose memory must not serve others yet. */
  readonly #closing = new Set<GrammarText>()
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #ids = 0
  /** Texts and their tokens that are not sent yet. */
  #unsent: number[] = []

  /**
   * @param vocabulary asked for as a thread starts
   * @param memory where masks lie
   */
  constructor(vocabulary: () => Vocabulary, memory: Memory) {
    this.#vocabulary = vocabulary
    this.#memory = memory
  }

  /** Whether any token ends a text. */
  get canEnd(): boolean {
    return this.#vocabulary().endTokens.length > 0
  }

  /**
   * Begins a text.
   *
   * @returns once its first mask is there
   * @throws ArgumentError for a format that is wrong or cannot be enforced, OutOfMemoryError, the signal's reason,
   *   WorkerDiedError, what {@link end} is given
   */
  async open(
    format: ResponseFormat,
    promptTokens: number,
    signal: AbortSignal | undefined,
  ): Promise<GrammarText> {
    const { size } = this.#vocabulary()
    const { buffer, byteOffset, length } = this.#memory.array('int32', 1 + Math.ceil(size / 32))
    const mask = new Uint32Array(buffer, byteOffset, length)
    const id = this.#ids++
    const deferred = new AbortableDeferred<GrammarText>(signal, () => this.close(text))
    const events = { onReady: () => {}, onFail: (error: unknown) => void deferred.reject(error) }
    const text = new GrammarText(this, { id, format, promptTokens, mask, events })
    if (!deferred.isSettled) {
      this.#texts.set(id, text)
      this.#opening.set(text, () => deferred.resolve(text))
      this.#postOpen(text)
      this.#hold()
    }
    return await deferred.promise
  }

  /** A token of a text was sampled. Those of one step are sent together. */
  accept({ id }: GrammarText, token: number): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#send())
    this.#unsent.push(id, token)
  }

  /** Tells the text once the mask behind all its tokens is there. */
  awaitMask({ id }: GrammarText): void {
    this.#send()
    this.#post({ kind: 'await', id })
  }

  close(text: GrammarText): void {
    if (!this.#texts.delete(text.id)) return
    this.#opening.delete(text)
    this.#closing.add(text)
    this.#post({ kind: 'close', id: text.id })
    this.#hold()
  }

  /** Fails all texts with `reason`, and ends the thread. Another one is started where a text comes all the same. */
  async end(reason: DotpoolError): Promise<void> {
    const texts = [...this.#texts.values()]
    const worker = this.#worker
    this.#worker = undefined
    for (const text of texts) this.#fail(text, reason)
    clearTimeout(this.#idle)
    await worker?.terminate()
    this.#closing.clear()
  }

  #postOpen({ id, format, promptTokens, tokens, mask }: GrammarText): void {
    this.#post({ kind: 'open', id, format, promptTokens, tokens, mask })
  }

  #send(): void {
    if (this.#unsent.length === 0) return
    this.#post({ kind: 'tokens', list: this.#unsent })
    this.#unsent = []
  }

  #post(request: GrammarRequest): void {
    this.#worker ??= this.#start()
    this.#worker.postMessage(request)
  }

  #start(): Worker {
    if (!existsSync(fileURLToPath(workerUrl))) {
      const expected = 'a grammar-worker.js beside the bundle: bundle dotpool/grammar-worker, too'
      throw new ArgumentError('responseFormat', expected, 'none')
    }
    // none of the process's own options, which a thread may not understand
    const worker = new Worker(workerUrl, {
      workerData: this.#vocabulary(),
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
    })
    let cause: unknown
    worker.on('message', (reply: GrammarReply) => this.#take(reply))
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', () => {
      if (this.#worker === worker) this.#replace(cause)
    })
    return worker
  }

  /** Another thread follows the texts from their beginnings. */
  #replace(cause: unknown): void {
    this.#worker = undefined
    this.#unsent = []
    this.#closing.clear()
    for (const text of this.#texts.values()) {
      if (++text.deaths < MAX_DEATHS) this.#postOpen(text)
      else this.#fail(text, new WorkerDiedError(cause))
    }
    this.#hold()
  }

  #take(reply: GrammarReply): void {
    if (reply.kind === 'closed') {
      for (const text of this.#closing) if (text.id === reply.id) this.#closing.delete(text)
      return
    }
    const text = this.#texts.get(reply.id)
    if (text === undefined) return
    if (reply.kind === 'failed') {
      this.#fail(text, fromWire(reply.error))
      return
    }
    this.#opening.get(text)?.()
    this.#opening.delete(text)
    text.events.onReady()
  }

  #fail(text: GrammarText, error: unknown): void {
    this.#texts.delete(text.id)
    this.#opening.delete(text)
    text.events.onFail(error)
    this.#hold()
  }

  /** Keeps the process alive while there are texts. */
  #hold(): void {
    clearTimeout(this.#idle)
    if (this.#texts.size > 0) {
      this.#worker?.ref()
      return
    }
    const worker = this.#worker
    worker?.unref()
    this.#idle = setTimeout(() => {
      this.#worker = undefined
      void worker?.terminate()
    }, IDLE_MILLIS).unref()
  }
}
