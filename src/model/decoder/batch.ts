import { sharedBytes } from '../../pool/memory.js'
import type { Pool } from '../../pool/pool.js'
import type { Sequence } from './sequence.js'

/** What shall become of a row's logits; dp_pick_action in C. */
export const PickAction = { nothing: 0, draw: 1, score: 2 } as const

/** How the next id is chosen from logits; dp_pick in C. */
export interface Draw {
  /** 0 takes the best id. */
  temperature: number
  /** 1: all ids. */
  topP: number
  minP: number
  /** 0: all ids. */
  topK: number
  /** Repetition penalty; 1: none. */
  penalty: number
  /** Uniform, 32 bits. */
  random: number
  /** Ids to penalise, each once, in shared memory; as many of them as `seenCount` says. */
  seen: Uint32Array | undefined
  seenCount: number
}

/** The logits of a row are wanted: as they are, to draw an id from, or to score one. */
export type Pick = { action: 'nothing' } | { action: 'draw'; draw: Draw } | { action: 'score'; id: number }

/** dp_row and dp_pick, in 32-bit words. */
const ROW_WORDS = 4
const PICK_WORDS = 14

/** What PICK writes as the id of a row that holds a NaN. */
const NO_ID = 0xffffffff

/**
 * The rows of one step where workers read them: every row is an id at a position of a sequence. Some of
 * them are outputs: their logits are wanted.
 */
export class Batch {
  readonly maxRows: number
  readonly maxOutputs: number
  /** Where C finds dp_row [maxRows], dp_pick [maxOutputs], and uint32 [maxOutputs], the rows of outputs. */
  readonly rowsAddress: number
  readonly picksAddress: number
  readonly outputsAddress: number
  /** Rows and outputs so far. */
  rows = 0
  outputs = 0
  /** The sequence of each row. */
  readonly sequences: Sequence[] = []
  /** The row of each output. */
  readonly outputRows: Uint32Array
  readonly #pool: Pool
  readonly #rows: Uint32Array
  readonly #rowPages: BigUint64Array
  readonly #picks: Uint32Array
  readonly #pickFloats: Float32Array
  readonly #pickSeen: BigUint64Array

  constructor(pool: Pool, maxRows: number, maxOutputs: number) {
    this.maxRows = maxRows
    this.maxOutputs = maxOutputs
    this.#pool = pool
    const rows = sharedBytes(maxRows * ROW_WORDS * 4)
    this.#rows = new Uint32Array(rows.buffer, rows.byteOffset, maxRows * ROW_WORDS)
    this.#rowPages = new BigUint64Array(rows.buffer, rows.byteOffset, maxRows * 2)
    const picks = sharedBytes(maxOutputs * PICK_WORDS * 4)
    this.#picks = new Uint32Array(picks.buffer, picks.byteOffset, maxOutputs * PICK_WORDS)
    this.#pickFloats = new Float32Array(picks.buffer, picks.byteOffset, maxOutputs * PICK_WORDS)
    this.#pickSeen = new BigUint64Array(picks.buffer, picks.byteOffset, (maxOutputs * PICK_WORDS) / 2)
    const outputs = sharedBytes(maxOutputs * 4)
    this.outputRows = new Uint32Array(outputs.buffer, outputs.byteOffset, maxOutputs)
    this.rowsAddress = pool.addressOf(rows)
    this.picksAddress = pool.addressOf(picks)
    this.outputsAddress = pool.addressOf(outputs)
  }

  clear(): void {
    this.rows = this.outputs = this.sequences.length = 0
  }

  /** Adds an id behind those of a sequence and of the rows before that are of the same one. */
  addRow(id: number, position: number, sequence: Sequence): void {
    const at = this.rows++
    this.#rows[at * ROW_WORDS] = id
    this.#rows[at * ROW_WORDS + 1] = position
    this.#rowPages[at * 2 + 1] = BigInt(sequence.tableAddress)
    this.sequences.push(sequence)
  }

  /** Makes the last row an output. Returns its number among the outputs. */
  addOutput(pick: Pick): number {
    const output = this.outputs++
    this.outputRows[output] = this.rows - 1
    this.setPick(output, pick)
    return output
  }

  /** What shall become of an output's logits. */
  setPick(output: number, pick: Pick): void {
    const at = output * PICK_WORDS
    this.#picks[at] = PickAction[pick.action]
    if (pick.action === 'score') this.#picks[at + 1] = pick.id
    if (pick.action !== 'draw') return
    const { temperature, topP, minP, penalty, topK, random, seen, seenCount } = pick.draw
    this.#pickFloats.set([temperature, topP, minP, penalty], at + 5)
    this.#picks.set([topK, random, seenCount], at + 9)
    this.#pickSeen[at / 2 + 6] = seen === undefined ? 0n : BigInt(this.#pool.addressOf(seen))
  }

  /** The id that was drawn, or undefined where the logits held a NaN. */
  drawnId(output: number): number | undefined {
    const id = this.#picks[output * PICK_WORDS + 1]
    return id === NO_ID ? undefined : id
  }

  /** -log softmax(logits)[id] of the id that was to be scored, in nats. */
  nll(output: number): number {
    const [logit, maximum, sum] = this.#pickFloats.subarray(output * PICK_WORDS + 2)
    return maximum + Math.log(sum) - logit
  }

  id(row: number): number {
    return this.#rows[row * ROW_WORDS]
  }

  position(row: number): number {
    return this.#rows[row * ROW_WORDS + 1]
  }
}
