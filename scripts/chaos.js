// Calls pools in all ways at once while faults are injected, and compares each result with the TypeScript oracle:
// npm run chaos -- [--minutes N] [--seed N]
import { randomInt } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { InvalidArgumentError, program } from 'commander'
import { countFaults, now } from './chaos/faults.js'
import { Memory, openDescriptors } from './chaos/memory.js'
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

const integer = (/** @type {string} */ text) => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected an integer')
  return Number(text)
}

program
  .option('--minutes <n>', 'how long to run', Number, 3)
  .option('--seed <n>', 'repeats the choices of an earlier run', integer, randomInt(2 ** 31))
program.parse()
/** @type {{ minutes: number, seed: number }} */
const { minutes, seed } = program.opts()

console.log(`seed ${seed}`)
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
const [first, last] = isEnough ? [memory.first, memory.last] : []
// a model that is disposed of does not wait for its text thread
const deadline = now() + CLOSE_MILLIS
while (openDescriptors().length > descriptors.length && now() < deadline) await setTimeout(10)
const left = openDescriptors().length - descriptors.length
const megabytes = (/** @type {number | undefined} */ bytes) =>
  bytes && Number((bytes / 1e6).toFixed(1))
console.table({
  seed,
  rounds,
  ...tally.counts(),
  ...countFaults(),
  'RSS, first tenth, MB': megabytes(first?.resident),
  'RSS, last tenth, MB': megabytes(last?.resident),
  'kept by koffi for ended threads, MB': megabytes(last?.koffi),
  'held, first tenth, MB': megabytes(first?.held),
  'held, last tenth, MB': megabytes(last?.held),
  'buffers, first tenth, MB': megabytes(first?.buffers),
  'buffers, last tenth, MB': megabytes(last?.buffers),
  'descriptors left': left,
})
for (const problem of tally.problems) console.error(problem)
if (!isEnough) console.log('memory growth: unknown on this system, or too few rounds to tell')

let grows = false
for (const key of /** @type {const} */ (['held', 'buffers'])) {
  if (first === undefined || last === undefined) continue
  const growth = (last[key] - first[key]) / first.held
  if (growth <= GROWTH) continue
  grows = true
  console.error(
    `memory that is ${key === 'held' ? 'held' : 'in buffers'} grew by ${(100 * growth).toFixed(1)} %`,
  )
}
if (left > 0) {
  console.error(`${left} descriptors are left:`)
  console.error('before', tallyOf(descriptors), 'after', tallyOf(openDescriptors()))
}
// unsettled calls may keep the process alive
process.exit(grows || left > 0 || tally.wrong > 0 || tally.unsettled > 0 ? 1 : 0)

/** How many descriptors there are of each kind: numbers of sockets and the like are left out. */
function tallyOf(/** @type {string[]} */ links) {
  /** @type {Record<string, number>} */
  const counts = {}
  for (const link of links.map((link) => link.replace(/\d+/g, '#'))) {
    counts[link] = (counts[link] ?? 0) + 1
  }
  return counts
}
