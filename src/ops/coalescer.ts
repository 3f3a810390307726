import { QueueFullError } from '../errors.js'
import { OpFlags } from '../native/layout.js'
import { heed } from '../pool/abort.js'
import { QUEUE_LIMIT } from '../pool/engine.js'
import type { Pool } from '../pool/pool.js'
import type { Op, Program, RowTable } from '../pool/program.js'
import type { LinearCall } from './linear.js'
import { multiplyOp, quantizeOps, rowsOf } from './linear-program.js'

/** Programs of one Linear that are out at once: one that runs and one that follows without a gap. */
const OUT = 2

/** A batch has at most so many rows; beyond, weights are no longer what takes the time. */
const BATCH_ROWS = 256

/** A call that waits, and how it settles. */
interface Waiting {
  call: LinearCall
  resolve(): void
  reject(error: unknown): void
}

/**
 * Runs the calls of one Linear. While two are out, others gather; then they go out together as one
 * program, which reads the weights once for all. Rows do not see each other, so results stay the same.
 */
export class Coalescer {
  readonly #pool: Pool
  readonly #waiting: Waiting[] = []
  #out = 0

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Runs the call, alone or with others. */
  async run(call: LinearCall, signal?: AbortSignal): Promise<void> {
    if (this.#out >= OUT && call.input.rows < BATCH_ROWS) return this.#wait(call, signal)
    this.#out++
    try {
      await this.#pool.run(call, signal)
    } finally {
      this.#out--
      this.#sendBatches()
    }
  }

  #wait(call: LinearCall, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted || this.#waiting.length >= QUEUE_LIMIT) {
        call.release()
        return reject(signal?.aborted ? signal.reason : new QueueFullError(QUEUE_LIMIT))
      }
      const leave = () => {
        const i = this.#waiting.indexOf(waiting)
        // what has gone out is computed all the same, for the others of its batch
        if (i >= 0) this.#waiting.splice(i, 1)[0].call.release()
        reject(signal?.reason)
      }
      const waiting: Waiting = {
        call,
        resolve: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
        reject: (error) => {
          signal?.removeEventListener('abort', leave)
          reject(error)
        },
      }
      heed(signal, leave)
      this.#waiting.push(waiting)
    })
  }

  #sendBatches(): void {
    while (this.#out < OUT && this.#waiting.length > 0) {
      const batch = this.#nextBatch()
      this.#out++
      const calls = batch.map(({ call }) => call)
      const program = calls.length === 1 ? calls[0] : new BatchProgram(this.#pool, calls)
      this.#send(program, batch)
    }
  }

  async #send(program: Program, batch: Waiting[]): Promise<void> {
    try {
      await this.#pool.run(program)
      for (const waiting of batch) waiting.resolve()
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    }
    this.#out--
    this.#sendBatches()
  }

  /** The longest waiting calls, as many as fit, all of one type. */
  #nextBatch(): Waiting[] {
    const { type } = this.#waiting[0].call.input
    let rows = 0
    let count = 0
    for (const { call } of this.#waiting) {
      rows += call.input.rows
      if (call.input.type !== type || (count > 0 && rows > BATCH_ROWS)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }
}

/** Calls of one weight as one multiplication: tables tell where their rows are and go. */
class BatchProgram implements Program {
  readonly #pool: Pool
  readonly #calls: LinearCall[]

  constructor(pool: Pool, calls: LinearCall[]) {
    this.#pool = pool
    this.#calls = calls
  }

  ops(): Op[] {
    // without C the calls follow each other, which reads the weights as often, but needs no addresses
    if (this.#pool.native === null) return this.#calls.flatMap((call) => call.ops())
    const [{ weight, input }] = this.#calls
    const count = this.#calls.reduce((rows, call) => rows + call.input.rows, 0)
    const x = this.#table(count, weight.inFeatures, (call) => call.input.data)
    const y = this.#table(count, weight.outFeatures, (call) => call.result.data)
    const ops: Op[] = []
    const source = { ...rowsOf(input, weight), x }
    const rows = quantizeOps(this.#pool, input.memory, ops, source, count, OpFlags.xRows)
    ops.push(multiplyOp(rows, count, weight, y, OpFlags.yRows))
    return ops
  }

  release(): void {
    for (const call of this.#calls) call.release()
  }

  /** Addresses of all rows, one after the other. */
  #table(
    count: number,
    width: number,
    dataOf: (call: LinearCall) => Float32Array | Uint16Array,
  ): RowTable {
    const bytes = this.#calls[0].input.memory.take(count * 8)
    const table = new BigUint64Array(bytes.buffer, bytes.byteOffset, count)
    let row = 0
    for (const call of this.#calls) {
      const data = dataOf(call)
      const first = this.#pool.addressOf(data)
      for (let m = 0; m < call.input.rows; m++) {
        table[row++] = BigInt(first + m * width * data.BYTES_PER_ELEMENT)
      }
    }
    return table
  }
}
