import { readFileSync } from 'node:fs'

/** How long steps of a machine take. */
export interface Machine {
  readonly name: string
  /** Of a step, whatever is in it: the weights are read once. Milliseconds. */
  readonly step: number
  /** Of each sequence that decodes. */
  readonly decodeRow: number
  /** Of each token of its context. */
  readonly contextToken: number
  /** Of each token of a prompt. */
  readonly prefillRow: number
  /** Tokens of a prompt in a second. */
  readonly prefillRate: number
  /** Tokens in a second of a sequence that runs alone. */
  readonly decodeRate: number
}

/** What is read of a report of `npm run bench:models`. */
interface Report {
  runs: {
    shape: string
    results: { name: string; scenario: string; rate: { median: number } }[]
  }[]
}

/** What a machine has been measured to do, by `npm run bench:models`. */
function readMachine(name: string, file: string, shape: string): Machine {
  const path = new URL(`../../peers/models/results/${file}.json`, import.meta.url)
  const report: Report = JSON.parse(readFileSync(path, 'utf8'))
  const results = report.runs.find((run) => run.shape === shape)?.results ?? []
  const rateOf = (scenario: string) => {
    const result = results.find((one) => one.name === 'dotpool' && one.scenario === scenario)
    if (result === undefined) throw new Error(`${path.pathname} has no '${scenario}' of ${shape}`)
    return result.rate.median
  }
  const one = 1000 / rateOf('decode at 128')
  const eight = 8000 / rateOf('decode of 8 at 128')
  const long = 1000 / rateOf('decode at 2048')
  const contextToken = (long - one) / (2048 - 128)
  const row = (eight - one) / 7
  const prefillRate = rateOf('prefill of 512')
  return {
    name,
    step: one - row,
    decodeRow: row - 128 * contextToken,
    contextToken,
    prefillRow: 1000 / prefillRate,
    prefillRate,
    decodeRate: 1000 / one,
  }
}

const SHAPE = 'Qwen3-0.6B'

/** Two cores of each, with a model of the shape of Qwen3-0.6B. */
export const machines = {
  epyc: readMachine('AMD EPYC, AVX2', 'amd-epyc-avx2-2-cores', SHAPE),
  xeon: readMachine('Xeon, AVX-512 VNNI', 'intel-xeon-avx512vnni-2-cores', SHAPE),
}
