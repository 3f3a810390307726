import type { MaskOptions } from '../../../ops/sample-rows.js'
import type { Constraint } from '../../decoder/generate-request.js'
import type { ResponseFormat } from '../response-format.js'

/** What whoever samples a text is told. */
export interface GrammarEvents {
  /** The mask is there that was waited for. */
  onReady(): void
  onFail(error: unknown): void
}

/** Whoever follows texts. */
export interface TextFollower {
  accept(text: GrammarText, token: number): void
  awaitMask(text: GrammarText): void
  close(text: GrammarText): void
}

/** A text that follows a grammar, which a thread reads along. */
export class GrammarText implements Constraint {
  readonly id: number
  readonly format: ResponseFormat
  /** Tokens of the prompt. */
  readonly promptTokens: number
  /** Those that have followed. */
  readonly tokens: number[] = []
  /** A tag, which is the number of tokens that it follows, and then a bit for each token. */
  readonly mask: Uint32Array
  /** Threads that died under it. */
  deaths = 0
  events: GrammarEvents
  readonly #follower: TextFollower

  constructor(
    follower: TextFollower,
    parts: Pick<GrammarText, 'id' | 'format' | 'promptTokens' | 'mask' | 'events'>,
  ) {
    this.id = parts.id
    this.format = parts.format
    this.promptTokens = parts.promptTokens
    this.mask = parts.mask
    this.events = parts.events
    this.#follower = follower
  }

  get isReady(): boolean {
    return Atomics.load(this.mask, 0) === this.promptTokens + this.tokens.length
  }

  at(position: number): MaskOptions {
    return { words: this.mask, tag: position }
  }

  listen(events: GrammarEvents): void {
    this.events = events
  }

  accept(token: number): void {
    this.tokens.push(token)
    this.#follower.accept(this, token)
  }

  awaitMask(): void {
    this.#follower.awaitMask(this)
  }

  close(): void {
    this.#follower.close(this)
  }
}
