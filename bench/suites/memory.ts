import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { summarize } from '../../src/measure/samples.js'
import type { Suite } from '../suite.js'

/** Prints bytes of resident memory per weight, as JSON. */
const program = fileURLToPath(new URL('../resident-memory.js', import.meta.url))

/** Processes, each a sample. */
const RUNS = 3

export const memory: Suite = {
  name: 'memory',
  title: 'bytes of resident memory per weight, of processes that make Linears and then use them',
  async *run({ pool }) {
    const samples = new Map<string, number[]>()
    for (let i = 0; i < RUNS; i++) {
      const { stdout } = await promisify(execFile)(process.execPath, [
        program,
        String(pool.threads),
      ])
      for (const [when, perWeight] of Object.entries<number>(JSON.parse(stdout))) {
        samples.set(when, [...(samples.get(when) ?? []), perWeight])
      }
    }
    for (const [name, perWeight] of samples) {
      yield { name, unit: 'B', measured: summarize(perWeight) }
    }
  },
}
