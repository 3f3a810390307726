// Calls pools in all ways at once while whatever can go wrong does, and holds each result against the TypeScript
// oracle: npm run chaos -- [--minutes N] [--seed N]
import { randomInt } from 'node:crypto'
import { InvalidArgumentError, program } from 'commander'
import { countFaults, now } from './chaos/faults.js'
import { Ledger } from './chaos/ledger.js'
import { countDescriptors, Memory } from './chaos/memory.js'
import { makeOracle } from './chaos/oracle.js'
import { randomFrom } from './chaos/random.js'
import { runRound } from './chaos/round.js'
import { startWatchdog } from './chaos/watchdog.js'

/** Between lines that tell how far it is. */
const REPORT_MILLIS = 60_000

/** By how much memory may grow from the first tenth of the rounds to the last, as a part of what is held. */
const GROWTH = 0.02

/** So many rounds come before the first tenth: code and heaps grow until they fit. */
const WARM_UP = 30

/** With fewer rounds after those, each tenth is too few to tell. */
const ROUNDS_TO_TELL = 150

const integer = (/** @type {string} */ text) => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected an integer')
  return Number(text)
}

program
  .option('--minutes <n>', 'how long to go on', Number, 3)
  .option('--seed <n>', 'repeats the choices of an earlier run', integer, randomInt(2 ** 31))
program.parse()
/** @type {{ minutes: number, seed: number }} */
const { minutes, seed } = program.opts()

console.log(`seed ${seed}`)
startWatchdog()
const random = randomFrom(seed)
const ledger = new Ledger()
const memory = await Memory.prepare()
const oracle = await makeOracle(random)

// round 0 loads what is loaded once
await runRound(oracle, random, ledger)
const descriptors = countDescriptors()
const start = now()
let reported = start
let rounds = 0
while (now() - start < minutes * 60_000 && ledger.unsettled === 0) {
  await runRound(oracle, random, ledger)
  rounds++
  if (rounds > WARM_UP) await memory?.sample()
  if (now() - reported > REPORT_MILLIS) {
    reported = now()
    console.log(
      `${Math.round((now() - start) / 60_000)} min: ${ledger.calls} calls, ${ledger.wrong} wrong`,
    )
  }
}

const tells = memory !== undefined && memory.length >= ROUNDS_TO_TELL
const [first, last] = tells ? [memory.first, memory.last] : []
const left = countDescriptors() - descriptors
const megabytes = (/** @type {number | undefined} */ bytes) =>
  bytes && Number((bytes / 1e6).toFixed(1))
console.table({
  seed,
  rounds,
  ...ledger.counts(),
  ...countFaults(),
  'RSS, first tenth, MB': megabytes(first?.resident),
  'RSS, last tenth, MB': megabytes(last?.resident),
  'koffi keeps of ended threads, MB': megabytes(last?.koffi),
  'held, first tenth, MB': megabytes(first?.held),
  'held, last tenth, MB': megabytes(last?.held),
  'buffers, first tenth, MB': megabytes(first?.buffers),
  'buffers, last tenth, MB': megabytes(last?.buffers),
  'descriptors left': left,
})
for (const problem of ledger.problems) console.error(problem)
if (!tells) console.log('whether memory grows: not known here, or too few rounds to tell')

let grows = false
for (const key of /** @type {const} */ (['held', 'buffers'])) {
  if (first === undefined || last === undefined) continue
  const growth = (last[key] - first[key]) / first.held
  if (growth <= GROWTH) continue
  grows = true
  console.error(
    `what is ${key === 'held' ? 'held' : 'in buffers'} grew by ${(100 * growth).toFixed(1)} %`,
  )
}
if (left > 0) console.error(`${left} descriptors are left`)
// what is unsettled may keep the process alive
process.exit(grows || left > 0 || ledger.wrong > 0 || ledger.unsettled > 0 ? 1 : 0)
