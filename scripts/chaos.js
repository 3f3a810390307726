// Calls pools in all ways at once while faults are injected, and compares each result with the TypeScript oracle:
// npm run chaos -- [--minutes N] [--seed N]
import { setTimeout } from 'node:timers/promises'
import { countFaults, now } from './chaos/faults.js'
import { growthProblems, memoryLines } from './chaos/growth.js'
import { leftProblems } from './chaos/kinds.js'
import { Memory, openDescriptors } from './chaos/memory.js'
import { readOptions } from './chaos/options.js'
import { makeOracle } from './chaos/oracle.js'
import { runRound } from './chaos/round.js'
import { Tally } from './chaos/tally.js'
import { startWatchdog } from './chaos/watchdog.js'
import { Random } from './random.js'

/** Time between progress lines. */
const REPORT_MILLIS = 60_000

/** In which threads that were ended close what they had open. */
const CLOSE_MILLIS = 5000

/** The most that memory may grow from the first tenth of the rounds to the last, as a share of what is held. */
const GROWTH = 0.02

/** Rounds before the first tenth: code and heaps grow until they fit. */
const WARM_UP = 30

/** With fewer rounds after the warm-up, a tenth is too small a sample. */
const ROUNDS_TO_TELL = 150

const { minutes, seed } = readOptions()
startWatchdog()
const random = new Random(seed)
const tally = new Tally()
const memory = await Memory.prepare()
const oracle = await makeOracle(random)

// round 0 loads what is loaded once
await runRound(oracle, random, tally)
const descriptors = openDescriptors()
const start = now()
let reported = start
let rounds = 0
while (now() - start < minutes * 60_000 && tally.unsettled === 0) {
  await runRound(oracle, random, tally)
  rounds++
  if (rounds > WARM_UP) await memory?.sample()
  if (now() - reported > REPORT_MILLIS) {
    reported = now()
    console.log(
      `${Math.round((now() - start) / 60_000)} min: ${tally.calls} calls, ${tally.wrong} wrong`,
    )
  }
}

const isEnough = memory !== undefined && memory.length >= ROUNDS_TO_TELL
const samples = isEnough ? memory.tenths : undefined
// a model that is disposed of does not wait for its text thread
const deadline = now() + CLOSE_MILLIS
while (openDescriptors().length > descriptors.length && now() < deadline) await setTimeout(10)
const open = openDescriptors()
console.table({
  seed,
  rounds,
  ...tally.counts(),
  ...countFaults(),
  ...memoryLines(samples),
  'descriptors left': open.length - descriptors.length,
})
const found = [
  ...growthProblems(samples, GROWTH),
  ...leftProblems('descriptors', descriptors, open),
]
for (const problem of [...tally.problems, ...found]) console.error(problem)
// unsettled calls may keep the process alive
process.exit(found.length > 0 || tally.wrong > 0 || tally.unsettled > 0 ? 1 : 0)
