import { ArgumentError, describe } from '../errors.js'
import type { Op } from '../native/op.js'
import { checkOptions } from '../options.js'
import type { Pool } from '../pool/pool.js'
import type { Program } from '../pool/program.js'
import type { Tensor } from '../tensor.js'
import {
  type Activations,
  type ActivationType,
  type ForwardOptions,
  type ForwardSyncOptions,
  forwardOptions,
  forwardSyncOptions,
  Input,
  Result,
} from './activations.js'
import { Linear } from './linear.js'
import { multiplyOp, quantizeOps, rowsOf, TOGETHER } from './linear-program.js'

/** A program has room for one op that quantises and this many multiplications. */
const MAX_LINEARS = 15

/**
 * Several Linears of one input, such as the q, k and v of attention, in one parallel region: the input is quantised
 * once, and no worker waits between them. The results have the bits of the Linears one by one.
 */
export class LinearGroup {
  readonly linears: readonly Linear[]
  readonly inFeatures: number

  /**
   * @param linears 1 to 15 Linears of one pool, with the same inFeatures and outliers; the group does not own them
   * @throws ArgumentError if they do not fit together
   */
  constructor(linears: readonly Linear[]) {
    const copy = Array.isArray(linears) ? [...linears] : []
    if (copy.length < 1 || copy.length > MAX_LINEARS) {
      throw new ArgumentError('linears', `1 to ${MAX_LINEARS} Linears`, describe(linears))
    }
    checkTogether(copy.map((linear, i) => [`linears[${i}]`, linear]))
    const { inFeatures, outliers } = copy[0]
    copy.forEach((linear, i) => {
      checkFit(`linears[${i}]`, 'inFeatures', linear.inFeatures, inFeatures)
      checkFit(`linears[${i}]`, 'outliers', linear.outliers, outliers)
    })
    this.linears = Object.freeze(copy)
    this.inFeatures = inFeatures
    Object.freeze(this)
  }

  /**
   * Returns one result for each Linear, in order; see `Linear.forward`.
   *
   * @param x float32 [M * K], or a float32 or bfloat16 tensor [..., K]
   * @param options `out` is an array with an element for each result
   */
  forward(x: Float32Array, options?: ForwardOptions<Float32Array[]>): Promise<Float32Array[]>
  forward<T extends ActivationType>(
    x: Tensor<T>,
    options?: ForwardOptions<Tensor<T>[]>,
  ): Promise<Tensor<T>[]>
  async forward(
    x: Activations,
    options: ForwardOptions<Activations[]> = {},
  ): Promise<Activations[]> {
    const { signal, out } = checkOptions(options, forwardOptions)
    const call = new GroupCall(this.linears, x, out)
    await this.linears[0].pool.run(call, signal)
    return call.results.map((result) => result.finish())
  }

  /** The same, blocking; see `Linear.forwardSync`. */
  forwardSync(x: Float32Array, options?: ForwardSyncOptions<Float32Array[]>): Float32Array[]
  forwardSync<T extends ActivationType>(
    x: Tensor<T>,
    options?: ForwardSyncOptions<Tensor<T>[]>,
  ): Tensor<T>[]
  forwardSync(x: Activations, options: ForwardSyncOptions<Activations[]> = {}): Activations[] {
    const { out } = checkOptions(options, forwardSyncOptions)
    const call = new GroupCall(this.linears, x, out)
    this.linears[0].pool.runSync(call)
    return call.results.map((result) => result.finish())
  }

  toString(): string {
    const outs = this.linears.map(({ outFeatures }) => outFeatures).join(', ')
    return `LinearGroup(in_features=${this.inFeatures}, out_features=[${outs}], dtype=${typesOf(this.linears)})`
  }
}

class GroupCall implements Program {
  readonly results: Result[]
  readonly #pool: Pool
  readonly #input: Input
  readonly #weights: Linear['weight'][]

  constructor(linears: readonly Linear[], x: Activations, out: Activations[] | undefined) {
    if (out !== undefined && (!Array.isArray(out) || out.length !== linears.length)) {
      const got = Array.isArray(out) ? `length ${out.length}` : describe(out)
      throw new ArgumentError('out', `an array of length ${linears.length}`, got)
    }
    const { pool, inFeatures } = linears[0]
    this.#pool = pool
    this.#weights = linears.map((linear) => linear.weight)
    this.#input = new Input(pool, x, inFeatures)
    this.results = linears.map(
      ({ outFeatures }, i) => new Result(pool, this.#input, outFeatures, out?.[i]),
    )
  }

  ops(): Op[] {
    const { rows: m, memory } = this.#input
    const ops: Op[] = []
    const rows = quantizeOps(this.#pool, memory, ops, rowsOf(this.#input, this.#weights[0]), m)
    this.#weights.forEach((weight, i) => {
      ops.push(multiplyOp(rows, m, weight, this.results[i].data, i > 0 ? TOGETHER : 0))
    })
    return ops
  }

  release(): void {
    this.#input.memory.release()
  }
}

/** How the Linears store their weights, for messages. */
export function typesOf(linears: readonly Linear[]): string {
  return [...new Set(linears.map(({ weightType }) => weightType))].join('/')
}

/** Throws an ArgumentError unless all are Linears of one pool. */
export function checkTogether(linears: [argument: string, linear: unknown][]): void {
  for (const [argument, linear] of linears) {
    if (!(linear instanceof Linear)) {
      throw new ArgumentError(argument, 'a Linear', describe(linear))
    }
    if (linear.pool !== (linears[0][1] as Linear).pool) {
      throw new ArgumentError(argument, `a Linear of the pool of ${linears[0][0]}`, 'another pool')
    }
  }
}

/** Throws an ArgumentError unless a property of a Linear has the value that the others need. */
export function checkFit(argument: string, what: string, value: number, wanted: number): void {
  if (value !== wanted) throw new ArgumentError(argument, `${what} ${wanted}`, `${value}`)
}
