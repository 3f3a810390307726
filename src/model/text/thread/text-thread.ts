import { AbortableDeferred } from '../../../abort.js'
import { DeadlineError, type DotpoolError, WorkerDiedError } from '../../../errors.js'
import type { TextAnswers, TextKind, TextRequest, TextService } from './service.js'
import { TextLink } from './text-link.js'
import type { TextSource } from './text-source.js'
import type { TextReply } from './text-worker.js'
import { fromWire } from './wire-error.js'

/**
 * Time is counted in ticks of so many milliseconds. One that comes late counts once, so that no request is given
 * up because the process was stopped, or its event loop busy.
 */
const TICK = 100

/** What parsing the largest tokenizers takes, many times over. */
const START_MILLIS = 120_000

/** What a request may take, many times what one takes that comes to an end; and more for each unit of its text. */
const REQUEST_MILLIS = 10_000
const MILLIS_PER_UNIT = 0.1

interface Pending {
  readonly request: TextRequest
  ticks: number
  resolve(value: unknown): void
  reject(error: unknown): void
}

/**
 * Works on the texts of a checkpoint in a thread, one request after the other. Where a request does not come to an
 * end, the thread is ended, and the next request finds a new one.
 */
export class TextThread implements TextService {
  static readonly #forgotten = new FinalizationRegistry((link: TextLink) => {
    void link.end()
  })

  readonly #url: URL
  readonly #source: TextSource
  readonly #requestMillis: number
  readonly #queue: Pending[] = []
  /** What the thread is doing, be it to start. */
  #current: Pending | undefined
  #link: TextLink | undefined
  #ticking: NodeJS.Timeout | undefined
  #isEnded = false

  /**
   * @param url of text-worker.js
   * @param requestMillis what a request without a text may take
   */
  constructor(url: URL, source: TextSource, requestMillis = REQUEST_MILLIS) {
    this.#url = url
    this.#source = source
    this.#requestMillis = requestMillis
  }

  call<Kind extends TextKind>(
    request: TextRequest<Kind>,
    signal?: AbortSignal,
  ): Promise<TextAnswers[Kind]> {
    const deferred = new AbortableDeferred<TextAnswers[Kind]>(signal, () => {
      const at = this.#queue.indexOf(pending)
      if (at >= 0) this.#queue.splice(at, 1)
    })
    const pending = this.#pending(
      request as TextRequest,
      (answer) => deferred.resolve(answer as TextAnswers[Kind]),
      (error) => deferred.reject(error),
    )
    if (!deferred.isSettled) {
      this.#queue.push(pending)
      this.#proceed()
    }
    return deferred.promise
  }

  callSync<Kind extends TextKind>(request: TextRequest<Kind>): TextAnswers[Kind] {
    let settled: (() => unknown) | undefined
    const resolve = (value: unknown) => {
      settled = () => value
    }
    const reject = (error: unknown) => {
      settled = () => {
        throw error
      }
    }
    this.#queue.unshift(this.#pending(request as TextRequest, resolve, reject))
    this.#proceed()
    while (settled === undefined) {
      const reply = this.#link?.receive(TICK)
      if (reply === undefined) this.#tick()
      else this.#settle(reply)
    }
    return settled() as TextAnswers[Kind]
  }

  async end(reason: DotpoolError): Promise<void> {
    this.#isEnded = true
    const waiting = this.#queue.splice(0)
    this.#current?.reject(reason)
    for (const { reject } of waiting) reject(reason)
    await this.#drop()
  }

  #pending(request: TextRequest, resolve: Pending['resolve'], reject: Pending['reject']): Pending {
    const units = request.kind === 'encode' ? request.text.length : 0
    const ticks = Math.ceil((this.#requestMillis + units * MILLIS_PER_UNIT) / TICK)
    return { request, ticks, resolve, reject }
  }

  /** Gives the thread what comes next, if it has nothing to do. */
  #proceed(): void {
    if (this.#current !== undefined) return
    if (this.#queue.length === 0) {
      this.#idle()
    } else if (this.#link === undefined || this.#link.isDead) {
      this.#start()
    } else {
      this.#current = this.#queue.shift() as Pending
      this.#link.post(this.#current.request)
      this.#watch(this.#link)
    }
  }

  /** A thread that cannot start fails the request that it was started for. */
  #start(): void {
    void this.#drop()
    this.#link = new TextLink(this.#url, this.#source)
    TextThread.#forgotten.register(this, this.#link, this.#link)
    const reject = (error: unknown) => {
      void this.#drop()
      this.#queue.shift()?.reject(error)
    }
    const request: TextRequest<'contents'> = { kind: 'contents' }
    this.#current = { request, ticks: START_MILLIS / TICK, resolve: () => {}, reject }
    this.#watch(this.#link)
  }

  #settle(reply: TextReply): void {
    const current = this.#current
    this.#current = undefined
    if ('value' in reply) current?.resolve(reply.value)
    else current?.reject(fromWire(reply.error))
    this.#proceed()
  }

  /** Counts a tick of the current request's time. */
  #tick(): void {
    // it may lie there already, where the event loop was busy
    const reply = this.#link?.receive(0)
    const current = this.#current
    if (reply !== undefined) this.#settle(reply)
    else if (current !== undefined && --current.ticks <= 0) {
      this.#fail(deadlineError(this.#source, current.request))
    }
  }

  #fail(error: DotpoolError): void {
    const current = this.#current
    void this.#drop()
    current?.reject(error)
    this.#proceed()
  }

  /** An idle thread must not know of this, or it would never be forgotten. */
  #idle(): void {
    clearInterval(this.#ticking)
    this.#ticking = undefined
    this.#link?.ignore()
    if (this.#isEnded) void this.#drop()
  }

  #watch(link: TextLink): void {
    this.#ticking ??= setInterval(() => this.#tick(), TICK).unref()
    link.listen({
      onReply: (reply) => this.#settle(reply),
      onDeath: (cause) => this.#fail(new WorkerDiedError(cause)),
    })
  }

  /** Ends the thread, if there is one; resolves once it is gone. */
  async #drop(): Promise<void> {
    this.#current = undefined
    clearInterval(this.#ticking)
    this.#ticking = undefined
    const link = this.#link
    if (link === undefined) return
    this.#link = undefined
    TextThread.#forgotten.unregister(link)
    await link.end()
  }
}

function deadlineError(source: TextSource, { kind }: TextRequest): DeadlineError {
  const file =
    source.format === 'gguf'
      ? source.header.file
      : ((kind === 'encode' ? source.tokenizer : source.template) ?? source.config).file
  return new DeadlineError(file, ...problems[kind])
}

/** What takes too long, and what to do. */
const problems: Record<TextKind, [what: string, remedy: string]> = {
  contents: ['parsing it', 'use another file'],
  files: ['writing its tokenizer', 'use another file'],
  encode: [
    'tokenising a text',
    'give token ids, or use a tokenizer whose patterns do not backtrack',
  ],
  render: ['writing a conversation', 'give the prompt as text, or use a template that ends'],
}
