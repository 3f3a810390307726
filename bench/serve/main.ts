import { Pool } from '../../dist/src/index.js'
import { describeMachine } from '../../dist/src/measure/machine.js'
import { chooseNative } from '../../dist/src/native/load.js'
import type { Load, Outcome } from './load.js'
import { measure, type Way } from './measure.js'
import { readOptions } from './options.js'
import { CommandProcess } from './process.js'
import type { Run } from './report.js'
import { addRuns } from './results.js'
import { printRun } from './tables.js'

const options = await readOptions()
const { subject, threads, prompt, tokens, rounds } = options
const loads: Omit<Load, 'seed' | 'round' | 'vocabSize'>[] = [
  ...options.streams.map((streams) => ({
    streams,
    requests: options.requests ?? 2 * streams,
    prompt,
    tokens,
  })),
  ...options.perSecond.map((perSecond) => ({
    perSecond,
    requests: options.requests ?? 8,
    prompt,
    tokens,
  })),
]
const sequences = Math.max(...loads.map(({ streams, requests }) => streams ?? requests))

const path = await subject.path()
const client = new CommandProcess('the client')
const children = [client]
const ways: Way[] = []
const versions: Record<string, string> = { 'Node.js': process.versions.node }
for (const name of options.servers) {
  const child = new CommandProcess(name)
  children.push(child)
  versions[name] = await child.commands.start(name)
  const url = await child.commands.listen(path, threads, sequences, prompt + tokens)
  if (name === 'dotpool') {
    const run = async (load: Load) => (await child.commands.runInside(load)) as Outcome
    ways.push({ name: 'dotpool, no HTTP', run })
  }
  ways.push({ name, run: (load) => client.commands.sendTo(url, load) })
}

const runs: Run[] = []
for (const load of loads) {
  const date = new Date().toISOString()
  const results = await measure(ways, { ...load, vocabSize: subject.vocabSize }, rounds)
  const run = { date, versions, model: subject.name, threads, ...load, rounds, results }
  printRun(run)
  runs.push(run)
}
for (const child of children) child.stop()

await using pool = await Pool.create({ threads })
const compiler = chooseNative()?.compiler() ?? null
const machine = { machine: describeMachine(), isa: pool.isa, compiler }
await addRuns(options.out, machine, runs)
