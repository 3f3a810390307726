// Puts a fleet under clients that come at random times while its processes are killed, suspended and drained, and their
// ways to NATS cut, stalled and slowed; compares each answer, and each result of batches, with the oracle: npm run chaos:fleet -- [--minutes N] [--seed N]
import { rm } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { Batches } from './chaos/fleet/batches.js'
import { Episode } from './chaos/fleet/episode.js'
import { Deck } from './chaos/fleet/faults.js'
import { ChaosFleet } from './chaos/fleet/fleet.js'
import { Load } from './chaos/fleet/load.js'
import { hasNats } from './chaos/fleet/nats.js'
import { makeOracle } from './chaos/fleet/oracle.js'
import { readOptions } from './chaos/options.js'
import { copyModel } from './chaos/server/model-copy.js'
import { Tally } from './chaos/server/tally.js'
import { Random } from './random.js'

/** The mean time between two requests, in that which one thread takes for one; and the least. */
const SPARSITY = 1.5
const LEAST_MILLIS = 100

/** A run of this length sees every fault. */
const WHOLE_MINUTES = 1

if (!hasNats) {
  console.log('skipped: needs nats-server; `apt install nats-server`, or https://nats.io')
  process.exit(0)
}

const { minutes, seed } = readOptions()
const tally = new Tally()
// what befalls the fleet does not depend on how many clients have come by then
const random = new Random(seed)
const folder = await copyModel()
const oracle = await makeOracle(folder)
const fleet = await ChaosFleet.start(folder)
/** @type {Episode[]} */
const episodes = []
const meanMillis = Math.max(oracle.meanMillis * SPARSITY, LEAST_MILLIS)
const load = new Load(fleet, oracle.all, new Random(seed + 1), tally, episodes, meanMillis)
const batches = new Batches(fleet.gateways, oracle.all, new Random(seed + 2), tally)
const deck = new Deck(random)
const struck = Object.assign(fleet, { clients: load })

const start = performance.now()
console.log(`a request each ${Math.round(meanMillis)} ms`)
load.begin()
batches.begin()
while (isToGoOn()) {
  await calm()
  const episode = new Episode(deck, struck, random)
  episodes.push(episode)
  console.log(`${seconds()} s: ${episode}`)
  await episode.act()
  await fleet.well()
  episode.end = performance.now()
  console.log(`${seconds()} s: well`)
}
await calm()
await load.end()
console.log(`${seconds()} s: clients are through`)
await batches.end()
console.log(`${seconds()} s: batches are through`)
await fleet.quiet()
console.log(`${seconds()} s: all is quiet`)

const resumes = fleet.count('dotpool_gateway_resumes_total')
const retries = fleet.count('dotpool_gateway_retries_total')
const freed = [...load.ended].filter(([id, end]) => {
  return end === 'client left' && fleet.log.attempts.get(id)?.includes('cancelled')
}).length
for (const problem of [...(await fleet.end()), ...fleet.log.errors]) tally.fail(problem)
for (const id of fleet.log.failed) {
  if (load.ended.get(id) === 'answered') tally.fail(`${id} was answered, and logged as failed`)
}
await rm(folder, { recursive: true })

if (minutes >= WHOLE_MINUTES) {
  const { streamsThroughFaults } = load
  const shown = { resumes, retries, freed, streamsThroughFaults, 'lines of batches': batches.lines }
  for (const [what, count] of Object.entries(shown)) {
    if (count === 0) tally.fail(`nothing shows what is to be shown: there are no ${what}`)
  }
}
console.table(Object.fromEntries([...load.table].sort()))
console.table(deck.counts)
console.table(fleet.log.warnings)
console.table({
  seed,
  episodes: episodes.length,
  'requests that another worker went on with': resumes,
  'requests that another worker began anew': retries,
  'rows that were freed because the client left': freed,
  'streams that were whole though a worker was struck': load.streamsThroughFaults,
  'batches, lines of them that were right, and calls that were tried anew': `${batches.batches}, ${batches.lines}, ${batches.retries}`,
  wrong: tally.counts.wrong ?? 0,
})
for (const problem of tally.problems) console.error(problem)
process.exit(tally.problems.length > 0 ? 1 : 0)

/** While there is time, or a fault to be seen. */
function isToGoOn() {
  const isTime = performance.now() - start < minutes * 60_000
  return isTime || (minutes >= WHOLE_MINUTES && !deck.isThrough)
}

/** Nothing befalls the fleet for a while: every request is answered. */
async function calm() {
  await setTimeout(random.spread(1000, 4000))
}

function seconds() {
  return ((performance.now() - start) / 1000).toFixed(1)
}
