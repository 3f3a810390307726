import { AbortableDeferred } from '../abort.js'
import { QueueFullError } from '../errors.js'
import { OpFlags } from '../native/layout.js'
import type { Op, RowTable } from '../native/op.js'
import { QUEUE_LIMIT } from '../pool/engine.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import type { LinearCall } from './linear-call.js'
import { multiplyOp, quantizeOps, rowsOf } from './linear-program.js'

/** The most programs of one Linear in flight: one that runs, and one that follows without a gap. */
const MAX_IN_FLIGHT = 2

/** The most rows of a batch: with more of them, reading the weights is no longer what takes the time. */
const MAX_BATCH_ROWS = 256

/** A call that waits, and how it settles. */
interface Waiting {
  call: LinearCall
  deferred: AbortableDeferred<void>
}

/**
 * Runs the calls of one Linear. While two programs are in flight, other calls wait; then they run together as one
 * program, which reads the weights once. Rows are independent, so the results stay the same.
 */
export class Coalescer {
  readonly #pool: Pool
  readonly #waiting: Waiting[] = []
  #inFlight = 0

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Runs the call, alone or together with others. */
  async run(call: LinearCall, signal?: AbortSignal): Promise<void> {
    if (this.#inFlight >= MAX_IN_FLIGHT && call.input.rows < MAX_BATCH_ROWS)
      return this.#wait(call, signal)
    this.#inFlight++
    try {
      await this.#pool.run(call, signal)
    } finally {
      this.#inFlight--
      this.#runBatches()
    }
  }

  #wait(call: LinearCall, signal?: AbortSignal): Promise<void> {
    const deferred = new AbortableDeferred<void>(signal, () => {
      const i = this.#waiting.indexOf(waiting)
      // a call whose batch is in flight is computed all the same
      if (i >= 0) this.#waiting.splice(i, 1)[0].call.release()
    })
    const waiting: Waiting = { call, deferred }
    if (this.#waiting.length >= QUEUE_LIMIT) deferred.reject(new QueueFullError(QUEUE_LIMIT))
    if (deferred.isSettled) call.release()
    else this.#waiting.push(waiting)
    return deferred.promise
  }

  #runBatches(): void {
    while (this.#inFlight < MAX_IN_FLIGHT && this.#waiting.length > 0) {
      const batch = this.#nextBatch()
      this.#inFlight++
      const calls = batch.map(({ call }) => call)
      const program = calls.length === 1 ? calls[0] : new BatchProgram(this.#pool, calls)
      this.#runBatch(program, batch)
    }
  }

  async #runBatch(program: Program, batch: Waiting[]): Promise<void> {
    try {
      await this.#pool.run(program)
      for (const { deferred } of batch) deferred.resolve()
    } catch (error) {
      for (const { deferred } of batch) deferred.reject(error)
    }
    this.#inFlight--
    this.#runBatches()
  }

  /** Takes the calls that have waited longest, as many as fit in a batch, all of one type. */
  #nextBatch(): Waiting[] {
    const { type } = this.#waiting[0].call.input
    let rows = 0
    let count = 0
    for (const { call } of this.#waiting) {
      rows += call.input.rows
      if (call.input.type !== type || (count > 0 && rows > MAX_BATCH_ROWS)) break
      count++
    }
    return this.#waiting.splice(0, count)
  }
}

/** Calls of one weight as one multiplication: tables hold the addresses of their rows and results. */
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
    const bytes = this.#calls[0].input.memory.acquire(count * 8)
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
