import { ArgumentError, NoTokenError, NotANumberError } from '../../errors.js'
import {
  type Drawn,
  type DrawOptions,
  PickOutcome,
  type PickRows,
} from '../../layouts/pick-rows.js'
import { newArray } from '../../pool/memory.js'
import type { Pick } from './batch.js'
import { Job } from './job.js'
import type { Sequence } from './sequence.js'

/**
 * Changes logits in place before an id is drawn from them, and before it returns: it may not be async.
 *
 * @param logits float32 [vocabSize] of the next id
 * @param ids all ids so far, the prompt's among them
 */
export type LogitsProcessor = (logits: Float32Array, ids: readonly number[]) => void

/** Where a text's ids come from, one draw after the other. */
export interface DrawSource {
  /** How to draw the next id. */
  next(): DrawOptions
  /** The last draw came to nothing: it comes next. */
  giveBack(draw: DrawOptions): void
  /** Whether draws do not depend on the ids that were drawn before. */
  readonly isForeseeable: boolean
}

export interface DrawJobOptions {
  processors?: readonly LogitsProcessor[]
  /** Whether another id will be wanted, unless this one ends the text. */
  goesOn?: boolean
  signal?: AbortSignal | undefined
}

/** Draws the id that follows. */
export class DrawJob extends Job<number> {
  readonly #source: DrawSource
  readonly #processors: readonly LogitsProcessor[]
  readonly #goesOn: boolean
  #draw: DrawOptions | undefined
  #processed = false
  #id = 0

  constructor(
    sequence: Sequence,
    ids: ArrayLike<number>,
    source: DrawSource,
    { processors = [], goesOn = false, signal }: DrawJobOptions = {},
  ) {
    super(sequence, ids, signal)
    this.#source = source
    this.#processors = processors
    this.#goesOn = goesOn
  }

  override get readsLogits(): boolean {
    return this.#processors.length > 0
  }

  override drawAhead(): DrawOptions | undefined {
    const can = this.#goesOn && this.#source.isForeseeable && !this.readsLogits
    return can ? this.#source.next() : undefined
  }

  override drawAgain(draw: DrawOptions): void {
    this.#source.giveBack(draw)
  }

  pick(i: number): Pick | undefined {
    if (i < this.ids.length - 1) return undefined
    this.#draw ??= this.#source.next()
    if (this.readsLogits) return { action: 'nothing' }
    return { action: 'draw', draw: this.#draw }
  }

  take(_: number, picks: PickRows, output: number, logits: Float32Array): Pick | undefined {
    if (this.readsLogits && !this.#processed) {
      this.#processed = true
      const ids = [...this.sequence.ids]
      for (const [i, process] of this.#processors.entries()) refuseThenable(i, process(logits, ids))
      return { action: 'draw', draw: this.#draw as DrawOptions }
    }
    this.takeDrawn(picks.drawn(output))
    return undefined
  }

  /** @throws NotANumberError or NoTokenError if nothing was drawn */
  takeDrawn({ outcome, id }: Drawn): void {
    const position = this.sequence.ids.length
    if (outcome === PickOutcome.masked) throw new NoTokenError(position)
    if (outcome !== PickOutcome.picked) throw new NotANumberError('logits', position)
    this.#id = id
  }

  protected finish(): number {
    return this.#id
  }
}

/** What an async processor changed would come after the draw. */
function refuseThenable(i: number, returned: unknown): void {
  if (typeof (returned as PromiseLike<unknown> | undefined)?.then !== 'function') return
  // its rejection is nobody else's to see
  Promise.resolve(returned).catch(() => {})
  const expected = 'functions that change logits before they return'
  throw new ArgumentError('processors', expected, `a promise from the one at index ${i}`)
}

/** How surprised the model is by every id but the first, given those before it: nats, their sum. */
export class ScoreJob extends Job<number> {
  readonly #targets: Uint32Array
  #sum = 0

  /** @param ids at least two */
  constructor(sequence: Sequence, ids: Uint32Array, signal?: AbortSignal) {
    super(sequence, ids.subarray(0, -1), signal)
    this.#targets = ids
  }

  pick(i: number): Pick {
    return { action: 'score', id: this.#targets[i + 1] }
  }

  take(i: number, picks: PickRows, output: number): undefined {
    const { logit, maximum, sum } = picks.scored(output)
    const nll = maximum + Math.log(sum) - logit
    if (Number.isNaN(nll)) throw new NotANumberError('logits', i)
    this.#sum += nll
  }

  protected finish(): number {
    return this.#sum
  }
}

/** The logits of every id. */
export class LogitsJob extends Job<Float32Array> {
  readonly #logits: Float32Array
  readonly #vocabSize: number

  constructor(sequence: Sequence, ids: ArrayLike<number>, vocabSize: number, signal?: AbortSignal) {
    super(sequence, ids, signal)
    this.#logits = newArray(Float32Array, ids.length * vocabSize)
    this.#vocabSize = vocabSize
  }

  override get readsLogits(): boolean {
    return true
  }

  pick(): Pick {
    return { action: 'nothing' }
  }

  take(i: number, _picks: PickRows, _output: number, logits: Float32Array): undefined {
    this.#logits.set(logits, i * this.#vocabSize)
  }

  protected finish(): Float32Array {
    return this.#logits
  }
}
