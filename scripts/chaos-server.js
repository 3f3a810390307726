// Puts a server under clients of all kinds while faults are injected into it, compares each answer with the
// oracle, and its metrics with what clients saw: npm run chaos:server -- [--minutes N] [--seed N]
import http from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { growthProblems, memoryLines } from './chaos/growth.js'
import { leftProblems } from './chaos/kinds.js'
import { readOptions } from './chaos/options.js'
import { Account, parseMetrics } from './chaos/server/account.js'
import { beClient, complete } from './chaos/server/clients.js'
import { exchange } from './chaos/server/exchange.js'
import { makeOracle } from './chaos/server/oracle.js'
import { ServerProcess } from './chaos/server/process.js'
import { Tally } from './chaos/server/tally.js'
import { Random } from './random.js'

/** @import { ClientContext } from './chaos/server/clients.js' */

/** Time between progress lines. */
const REPORT_MILLIS = 60_000

/** In which a request must be answered, or a connection that its client has left be closed. */
const LIMIT_MILLIS = 60_000

/** The most that memory may grow from the first tenth of the rounds to the last, as a share of what is held. */
const GROWTH = 0.05

/** With fewer rounds, a tenth is too small a sample. */
const ROUNDS_TO_TELL = 50

/** Requests that are to be finished when the server is told to end. */
const LAST = 6

/** Rounds before the first tenth: code and heaps grow until they fit. */
const WARM_UP = 15

const { minutes, seed } = readOptions()
const random = new Random(seed)
const tally = new Tally()
const oracle = await makeOracle()
let server = await ServerProcess.start()

for (let i = 0; i < WARM_UP; i++) await runRound()
await drained()
const { descriptors, resources } = await server.drained()
const start = performance.now()
let reported = start
let rounds = 0
while (performance.now() - start < minutes * 60_000) {
  await runRound()
  await server.drained()
  rounds++
  if (performance.now() - reported > REPORT_MILLIS) {
    reported = performance.now()
    console.log(`${Math.round((reported - start) / 60_000)} min:`, JSON.stringify(tally.counts))
  }
}
await drained()
const end = await server.drained()
await terminate()
await restart()

const { memory } = end
const isEnough = memory !== undefined && memory.count >= ROUNDS_TO_TELL
const samples = isEnough ? memory.tenths : undefined
console.table({
  seed,
  rounds,
  ...tally.counts,
  ...end.faults,
  ...Object.fromEntries(
    Object.entries(end.logged).map(([message, count]) => [`logged: ${message}`, count]),
  ),
  ...memoryLines(samples),
  'descriptors left': end.descriptors.length - descriptors.length,
})
const found = [
  ...growthProblems(samples, GROWTH),
  ...leftProblems('descriptors', descriptors, end.descriptors),
  ...leftProblems('handles', resources, end.resources),
]
for (const problem of found) tally.fail(problem)
for (const problem of tally.problems) console.error(problem)
process.exit(tally.problems.length > 0 ? 1 : 0)

/** A round: clients for a while, and the books at its end. Returns when all is answered. */
async function runRound() {
  const account = new Account()
  const agent = newAgent()
  const isPolite = random.chance(0.2)
  const isShaken = !isPolite && random.chance(0.6)
  const before = await readMetrics(agent)
  const context = makeContext(account, agent, { isShaken })
  if (isShaken) await server.beginFaults(random.below(2 ** 31))
  let isOver = false
  // those that are polite are not so many that some are refused, or fail: all the books must balance
  const clients = Array.from({ length: random.integer(1, isPolite ? 3 : 16) }, async () => {
    while (!isOver) {
      await inTime(beClient(context, isPolite).catch((error) => tally.fail(error.stack)))
      if (random.chance(0.1)) await setTimeout(random.spread(1, 200))
    }
  })
  await setTimeout(random.spread(300, 3000))
  isOver = true
  await Promise.all(clients)
  if (isShaken) await server.endFaults()
  await idle()
  const problems = account.compare(before, await readMetrics(agent))
  for (const problem of problems) tally.fail(`the books of a round, polite ${isPolite}: ${problem}`)
  for (const failure of server.failures.splice(0)) {
    if (!isShaken) tally.fail(`the server logged: ${failure}`)
  }
  agent.destroy()
}

/** Tells a client that waits for ever. */
async function inTime(/** @type {Promise<void>} */ client) {
  const late = new AbortController()
  const limit = setTimeout(LIMIT_MILLIS, 'late', late)
  if ((await Promise.race([client, limit.catch(() => {})])) === 'late') {
    console.error(`a client was not answered in ${LIMIT_MILLIS / 1000} s`, await server.stats())
    process.exit(1)
  }
  late.abort()
}

/** Waits until nothing runs or waits: requests whose clients have left end, too. */
async function idle() {
  const deadline = performance.now() + LIMIT_MILLIS
  for (;;) {
    const { running, waiting } = await server.stats()
    if (running + waiting === 0) return
    if (performance.now() > deadline) {
      console.error(`${running} requests run and ${waiting} wait though nobody waits for them`)
      process.exit(1)
    }
    await setTimeout(5)
  }
}

/** Gives connections, and threads that ended, time to be closed. */
async function drained() {
  const deadline = performance.now() + 5000
  for (;;) {
    const { descriptors: now } = await server.drained()
    if (!now.some((link) => link.startsWith('socket:')) || performance.now() > deadline) return
    await setTimeout(100)
  }
}

/** Ends the server while it has much to do: each request comes to an end, and the process, too. */
async function terminate() {
  const agent = newAgent()
  const context = makeContext(new Account(), agent, { isEnding: true })
  const clients = Array.from({ length: LAST }, () => complete(context, { pauseMillis: 0 }))
  // who has not begun by then may find the connection closed
  for (let begun = 0; begun < LAST; await setTimeout(1)) {
    const { running, waiting } = await server.stats()
    begun = running + waiting
  }
  server.terminate()
  await inTime(Promise.all(clients).then(() => {}))
  const [code, signal] = await server.exited
  if (code !== 0) tally.fail(`the server ended with ${signal ?? code}`)
  agent.destroy()
}

/** Starts it once more, and ends it while it has nothing to do. */
async function restart() {
  server = await ServerProcess.start()
  const agent = newAgent()
  await inTime(complete(makeContext(new Account(), agent)))
  server.terminate()
  const [code, signal] = await server.exited
  if (code !== 0) tally.fail(`the server that had nothing to do ended with ${signal ?? code}`)
  agent.destroy()
}

/**
 * @param {Account} account
 * @param {http.Agent} agent
 * @param {Partial<ClientContext>} more
 * @returns {ClientContext}
 */
function makeContext(account, agent, more = {}) {
  const { port } = server
  return { random, agent, port, oracle, account, tally, isShaken: false, isEnding: false, ...more }
}

function newAgent() {
  return new http.Agent({ keepAlive: true, host: '127.0.0.1', port: server.port })
}

async function readMetrics(/** @type {http.Agent} */ agent) {
  return parseMetrics((await exchange(agent, '/metrics', undefined)).text)
}
