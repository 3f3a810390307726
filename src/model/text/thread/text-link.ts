import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { TextRequest } from './service.js'
import type { TextSource } from './text-source.js'
import type { TextReply, TextStart } from './text-worker.js'

/** What a link tells of. */
export interface TextLinkEvents {
  onReply(reply: TextReply): void
  /** The thread has died. */
  onDeath(cause: unknown): void
}

/** A thread of text-worker.ts, and the way to it. It keeps the process alive only while somebody listens. */
export class TextLink {
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #replies = new Int32Array(new SharedArrayBuffer(4))
  #events: TextLinkEvents | undefined
  #isDead = false

  /** Starts the thread, whose first reply comes unasked: whether it could parse `source`. */
  constructor(url: URL, source: TextSource) {
    const { port1, port2 } = new MessageChannel()
    const start: TextStart = { source, port: port2, replies: this.#replies }
    // none of the process's own options, which a thread may not understand
    this.#worker = new Worker(url, { workerData: start, transferList: [port2], execArgv: [] })
    this.#port = port1
    port1.on('message', (reply: TextReply) => this.#events?.onReply(reply))
    this.#worker.on('error', (error) => this.#die(error))
    this.#worker.on('exit', () => this.#die(undefined))
    this.#worker.unref()
    port1.unref()
  }

  get isDead(): boolean {
    return this.#isDead
  }

  post(request: TextRequest): void {
    this.#port.postMessage(request)
  }

  /** Tells of replies and death, until {@link ignore}. */
  listen(events: TextLinkEvents): void {
    this.#events = events
    this.#worker.ref()
  }

  /** Nobody listens any more. */
  ignore(): void {
    this.#events = undefined
    this.#worker.unref()
  }

  /** A reply that has come and nobody was told of, blocking for it at most so long. */
  receive(millis: number): TextReply | undefined {
    const seen = Atomics.load(this.#replies, 0)
    const reply = receiveMessageOnPort(this.#port)
    if (reply !== undefined || millis === 0) return reply?.message
    Atomics.wait(this.#replies, 0, seen, millis)
    return receiveMessageOnPort(this.#port)?.message
  }

  /** Ends the thread, whatever it is doing; resolves once it is gone. */
  async end(): Promise<void> {
    this.ignore()
    this.#isDead = true
    this.#port.close()
    await this.#worker.terminate()
  }

  #die(cause: unknown): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#events?.onDeath(cause)
  }
}
