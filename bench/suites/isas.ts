import { Pool } from '../../src/index.js'
import { summarize, timeAsync } from '../../src/measure/samples.js'
import { possibleIsas } from '../../src/native/load.js'
import { randomLinear, randomRows } from '../dotpool.js'
import { ROUNDS } from '../rounds.js'
import { shapes } from '../runner.js'
import type { Suite } from '../suite.js'

const shape = shapes[2]

/** Calls of one ISA in one round. */
const BUDGET = { millis: 25, calls: 1 }

export const isas: Suite = {
  name: 'isas',
  title: `forward with all kernels that run here, against TypeScript; K=${shape.k} N=${shape.n}`,
  async *run({ pool: { threads } }) {
    const pools: Pool[] = []
    try {
      for (const isa of possibleIsas()) pools.push(await createPool(isa, threads))
      for (const rows of [1, 32]) {
        const calls = new Map<string, () => Promise<unknown>>()
        for (const pool of pools) calls.set(pool.isa, await forwards(pool, rows))
        for (const [isa, ratios] of await race(calls)) {
          yield { name: `${isa}, M=${rows}`, unit: 'x', measured: summarize(ratios) }
        }
      }
    } finally {
      for (const pool of pools) await pool.close()
    }
  },
}

function createPool(isa: string, threads: number): Promise<Pool> {
  const before = process.env.DOTPOOL_ISA
  process.env.DOTPOOL_ISA = isa
  try {
    // create() reads the variable before its first await
    return Pool.create({ threads })
  } finally {
    if (before === undefined) delete process.env.DOTPOOL_ISA
    else process.env.DOTPOOL_ISA = before
  }
}

async function forwards(pool: Pool, rows: number): Promise<() => Promise<unknown>> {
  const linear = await randomLinear(pool, shape)
  const x = randomRows(pool, rows, shape.k)
  const out = pool.tensor('float32', [rows, shape.n])
  return () => linear.forward(x, { out })
}

/** By ISA, how many times as fast as TypeScript a call was in each round. */
async function race(calls: Map<string, () => Promise<unknown>>): Promise<Map<string, number[]>> {
  const ratios = new Map([...calls.keys()].map((isa): [string, number[]] => [isa, []]))
  for (let i = 0; i < ROUNDS; i++) {
    const medians = new Map<string, number>()
    for (const [isa, call] of calls) {
      medians.set(isa, summarize(await timeAsync(call, BUDGET)).median)
    }
    const slowest = Number(medians.get('typescript'))
    for (const [isa, median] of medians) ratios.get(isa)?.push(slowest / median)
  }
  return ratios
}
