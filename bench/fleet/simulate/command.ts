import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, Option } from 'commander'
import { formatReport } from '../../../dist/bench/report.js'
import type { RouterOptions } from '../../../server/dist/fleet/routing/router.js'
import { addNumber, positive } from '../options.js'
import type { Arrivals } from './arrivals.js'
import { drawChart } from './chart.js'
import { simulate } from './fleet.js'
import { usualGateways } from './gateways.js'
import { machines } from './machine.js'
import { type PolicyName, policies } from './policy.js'
import { type Line, type Scenario, type SimulationReport, summarizeFleet } from './report.js'
import { formatLine, formatTables } from './tables.js'
import { workloads } from './workload.js'

/** Workers are of these machines by turns. */
const fleets = {
  epyc: [machines.epyc],
  xeon: [machines.xeon],
  mixed: [machines.epyc, machines.xeon],
}

interface Options {
  workload: (keyof typeof workloads)[]
  arrivals: Arrivals[]
  machines: (keyof typeof fleets)[]
  policy: PolicyName[]
  workers?: number[]
  gateways?: number
  candidates?: number
  answerTokens?: number
  perSecond?: number[]
  seed: number
  warmUp: number
  counted: number
  out: string
}

const results = fileURLToPath(new URL('../results', import.meta.url))

export const simulateCommand = new Command('simulate')
  .description(
    'simulate fleets under load; several values of an option are tried one after the other',
  )
  .addOption(oneOf('--workload <name...>', Object.keys(workloads), ['chat']))
  .addOption(oneOf('--arrivals <name...>', ['poisson', 'azure', 'bursts'], ['azure']))
  .addOption(oneOf('--machines <name...>', Object.keys(fleets), ['mixed']))
  .addOption(oneOf('--policy <name...>', Object.keys(policies), Object.keys(policies)))
  .option('--workers <n...>', '(default: 10)', addNumber)
  .option('--per-second <n...>', 'requests in a second for each worker (default: 0.3)', addNumber)
  .option('--gateways <n>', '(default: 2; 4 from 100 workers on; 8 from 1000 on)', positive)
  .option(
    '--candidates <n>',
    'another figure of the router, to tune it: nothing is written',
    positive,
  )
  .option('--answer-tokens <n>', 'the same', positive)
  .option('--seed <n>', 'of all that is random', positive, 1)
  .option('--warm-up <s>', 'seconds that are not counted', positive, 300)
  .option('--counted <s>', 'seconds that are', positive, 200)
  .option('--out <folder>', 'where to write', results)
  .action(run)

function oneOf(flags: string, names: string[], preset: string[]): Option {
  return new Option(flags).choices(names).default(preset, preset.join(', '))
}

async function run(options: Options): Promise<void> {
  const lines: Line[] = []
  for (const scenario of scenariosOf(options)) {
    const { workers, machines, workload, perSecond, arrivals } = scenario
    console.log(`\n${workload}, ${arrivals}, ${workers} ${machines}, ${perSecond} requests/s each`)
    for (const name of options.policy) {
      const line = runOne(scenario, name, options)
      console.log(formatLine(line))
      lines.push(line)
    }
  }
  if (Object.keys(figuresOf(options)).length === 0) await addLines(options, lines)
}

/** Other figures of the router than its own. */
function figuresOf({ candidates, answerTokens }: Options): RouterOptions {
  return {
    ...(candidates !== undefined && { candidates }),
    ...(answerTokens !== undefined && { answerTokens }),
  }
}

function scenariosOf(options: Options): Scenario[] {
  const { workers = [10], perSecond = [0.3], gateways } = options
  return options.workload.flatMap((workload) =>
    options.arrivals.flatMap((arrivals) =>
      options.machines.flatMap((machines) =>
        workers.flatMap((count) =>
          perSecond.map((rate) => ({
            workload,
            arrivals,
            machines,
            workers: count,
            gateways: gateways ?? usualGateways(count),
            perSecond: rate,
          })),
        ),
      ),
    ),
  )
}

function runOne(scenario: Scenario, name: PolicyName, options: Options): Line {
  const { seed, warmUp, counted } = options
  const result = simulate({
    ...scenario,
    workload: workloads[scenario.workload],
    machines: fleets[scenario.machines as keyof typeof fleets],
    policy: (random) => policies[name](random, figuresOf(options)),
    seed,
    warmUp,
    counted,
  })
  return summarizeFleet(scenario, name, result, 1000 * (warmUp + counted), counted)
}

/** Adds lines to those of the folder, in place of those of the same fleets. */
async function addLines({ out, seed, warmUp, counted }: Options, lines: Line[]): Promise<void> {
  // npm changes the folder of this process
  const folder = resolve(process.env.INIT_CWD ?? '.', out)
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'simulation')
  const before: SimulationReport | undefined = existsSync(`${path}.json`)
    ? JSON.parse(readFileSync(`${path}.json`, 'utf8'))
    : undefined
  const kept = (before?.lines ?? []).filter(
    (line) => !lines.some((one) => keyOf(one) === keyOf(line)),
  )
  const all = [...kept, ...lines].sort(compare)
  const report: SimulationReport = { seed, warmUp, counted, lines: all }
  await writeFile(`${path}.json`, formatReport(report))
  await writeFile(`${path}.md`, formatTables(report))
  await writeFile(`${path}.svg`, drawChart(report))
}

function keyOf({
  workload,
  machines,
  arrivals,
  workers,
  gateways,
  perSecond,
  policy,
}: Line): string {
  return [workload, machines, arrivals, workers, gateways, perSecond, policy].join(' ')
}

function compare(a: Line, b: Line): number {
  const names = Object.keys(policies)
  return (
    Object.keys(workloads).indexOf(a.workload) - Object.keys(workloads).indexOf(b.workload) ||
    a.machines.localeCompare(b.machines) ||
    a.arrivals.localeCompare(b.arrivals) ||
    a.workers - b.workers ||
    a.gateways - b.gateways ||
    a.perSecond - b.perSecond ||
    names.indexOf(a.policy) - names.indexOf(b.policy)
  )
}
