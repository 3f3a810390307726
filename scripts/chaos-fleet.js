// Puts a fleet under an open-loop load while its workers, gateways, NATS and links fail, and compares each answer with
// the oracle: npm run chaos:fleet -- [--minutes N] [--seed N]
import http from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { canHappen, faults } from './chaos/fleet/faults.js'
import { Network } from './chaos/fleet/hosts.js'
import { Member } from './chaos/fleet/member.js'
import { Nats } from './chaos/fleet/nats.js'
import { readOptions } from './chaos/options.js'
import { parseMetrics } from './chaos/server/account.js'
import { isPartOf, readStream, Tally } from './chaos/server/clients.js'
import { exchange } from './chaos/server/exchange.js'
import { makeOracle } from './chaos/server/oracle.js'
import { Random } from './random.js'

const WORKERS = 3
const GATEWAYS = 2

/** Requests that begin in a second, on average. */
const RATE = 12

/** Faults at the same time, at most. */
const FAULTS = 2

/** In which every request must come to an end. */
const LIMIT_MILLIS = 120_000

/** In which a fleet that is left alone has found itself again. */
const HEAL_MILLIS = 5000

/** Requests that a fleet answers that is left alone. */
const LAST = 40

/** Time between progress lines. */
const REPORT_MILLIS = 60_000

const { minutes, seed } = readOptions()
const random = new Random(seed)
const tally = new Tally()
/** @type {Record<string, number>} */
const injected = {}
const oracle = await makeOracle()
const network = new Network(process.platform === 'linux' ? undefined : 'only on Linux')
if (network.refusal !== undefined) console.log(`no links are cut: ${network.refusal}`)
else if (network.slowness !== undefined) console.log(`no links are slow: ${network.slowness}`)
const nats = new Nats(network.address)
await nats.start()
const members = [
  ...Array.from({ length: WORKERS }, () => new Member(network.add(), 'worker', nats.url)),
  ...Array.from({ length: GATEWAYS }, () => new Member(network.add(), 'gateway', nats.url)),
]
const gateways = members.filter(({ role }) => role === 'gateway')
/** Members that something happens to. */
const disturbed = new Set()
/** @type {Set<Promise<void>>} */
const requests = new Set()

try {
  await Promise.all(members.map((member) => member.start()))
  const end = performance.now() + minutes * 60_000
  await Promise.all([beClients(end), injectFaults(end), report(end)])
  await Promise.all(requests)
  await setTimeout(HEAL_MILLIS)
  await checkHealed()
} finally {
  await Promise.all(members.map((member) => member.end('SIGKILL')))
  await nats.remove()
  network.remove()
}
console.table({ seed, ...tally.counts, ...injected })
for (const problem of tally.problems) console.error(problem)
process.exit(tally.problems.length > 0 ? 1 : 0)

/** Sends requests at random times, whatever becomes of those before. */
async function beClients(/** @type {number} */ end) {
  while (performance.now() < end) {
    await setTimeout((-Math.log(1 - random.below(1e6) / 1e6) * 1000) / RATE)
    const up = gateways.filter(({ isUp }) => isUp)
    if (up.length > 0) send(random.pick(up), true)
  }
}

/** @param {Member} gateway @param {boolean} mayFail */
function send(gateway, mayFail) {
  const request = Promise.race([ask(gateway, mayFail), tooLate()]).catch((error) => {
    tally.fail(error.stack)
  })
  requests.add(request)
  void request.finally(() => requests.delete(request))
}

async function tooLate() {
  await setTimeout(LIMIT_MILLIS, undefined, { ref: false })
  throw new Error(`a request has no end after ${LIMIT_MILLIS / 1000} s`)
}

/** Asks for a stream, and compares what comes with the oracle. @param {Member} gateway @param {boolean} mayFail */
async function ask(gateway, mayFail) {
  const expected = random.pick(oracle)
  const { host, port, disturbances } = gateway
  const agent = new http.Agent({ host: host.address, port })
  const body = { ...expected.body, model: 'toy', stream: true }
  const options = { ...body, stream_options: { include_usage: true } }
  tally.count('requests')
  const outcome = await exchange(agent, '/v1/completions', JSON.stringify(options)).catch(() => {})
  agent.destroy()
  if (outcome === undefined) {
    const isGatewaysFault = gateway.disturbances > disturbances || disturbed.has(gateway)
    if (isGatewaysFault) return tally.count('broken off with their gateway')
    throw new Error('a connection broke off though its gateway was well')
  }
  const { status, headers, text } = outcome
  if (status === 429 || status === 503) {
    if (!(Number(headers['retry-after']) > 0)) throw new Error(`${status} without retry-after`)
    if (!mayFail) throw new Error(`${status} of a fleet that is well: ${text}`)
    return tally.count(`told ${status}`)
  }
  if (status !== 200) throw new Error(`${status}: ${text}`)
  const answer = readStream(text)
  if (!isPartOf(answer, expected)) {
    throw new Error(`${JSON.stringify(expected.body)}: not what it must be: ${text}`)
  }
  if (answer.isWhole) return tally.count('answered')
  const { error } = JSON.parse(/** @type {string} */ (answer.error ?? '{}').replace(/^data: /, ''))
  if (!mayFail || typeof error?.message !== 'string') {
    throw new Error(`a stream that does not end: ${text.slice(-500)}`)
  }
  tally.count(`told amid the answer: ${error.code}`)
}

async function injectFaults(/** @type {number} */ end) {
  const names = Object.entries(faults).flatMap(([name, [weight]]) => Array(weight).fill(name))
  /** @type {Set<Promise<void>>} */
  const running = new Set()
  let isNatsDown = false
  while (performance.now() < end) {
    await setTimeout(random.spread(200, 4000))
    const name = random.pick(names)
    const member = random.pick(members)
    const isNats = name === 'kill NATS'
    if (running.size >= FAULTS || (isNats ? isNatsDown : disturbed.has(member))) continue
    if (!canHappen(name, member)) continue
    const key = isNats ? name : `${name} a ${member.role}`
    injected[key] = (injected[key] ?? 0) + 1
    if (isNats) isNatsDown = true
    else disturbed.add(member)
    const fault = faults[name][1]({ random, member, nats }).finally(() => {
      if (isNats) isNatsDown = false
      else disturbed.delete(member)
    })
    running.add(fault)
    void fault.finally(() => running.delete(fault))
  }
  await Promise.all(running)
}

/** All members serve, no row is occupied, and every request is answered. */
async function checkHealed() {
  for (const member of members.filter(({ isUp }) => !isUp)) {
    // NATS was not there for long enough that it gave up
    await member.start()
    if (!member.isUp) tally.fail(`a ${member.role} does not start`)
  }
  for (const { role, url } of members) {
    if (role !== 'worker') continue
    const metrics = parseMetrics(await (await fetch(`${url}/metrics`)).text())
    const rows = metrics['vllm:num_requests_running'] + metrics['vllm:num_requests_waiting']
    if (rows !== 0) tally.fail(`${rows} rows are occupied though nobody waits for them`)
  }
  for (let i = 0; i < LAST; i++) send(gateways[i % GATEWAYS], false)
  await Promise.all(requests)
}

async function report(/** @type {number} */ end) {
  const start = performance.now()
  for (let next = start + REPORT_MILLIS; next < end; next += REPORT_MILLIS) {
    await setTimeout(next - performance.now())
    const minute = Math.round((performance.now() - start) / 60_000)
    console.log(`${minute} min:`, JSON.stringify({ ...tally.counts, ...injected }))
  }
}
