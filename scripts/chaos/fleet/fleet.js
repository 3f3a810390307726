import { setTimeout } from 'node:timers/promises'
import { Kvm } from '@nats-io/kv'
import { connect } from '@nats-io/transport-node'
import { Link } from './link.js'
import { FleetLog } from './log.js'
import { Member } from './member.js'
import { NatsServer } from './nats.js'
import { MODEL } from './oracle.js'

/** What the fleet's subjects begin with. */
const PREFIX = 'chaos'

const WORKERS = 3
const GATEWAYS = 2

/** A request that takes longer ends by then, also one that its gateway is to finish before it ends itself. */
const TIMEOUT_SECONDS = 100

/** Room that few requests take: memory, and who may wait for it. */
const room = ['--kv-bytes', '16m', '--max-queue', '4']

/** In which all must be well again once faults are over, and quiet once all clients are through. */
const RECOVERY_MILLIS = 60_000

/** The processes of a fleet, each with a way to NATS of its own. */
export class ChaosFleet {
  log = new FleetLog()
  nats
  /** @type {Member[]} */
  workers = []
  /** @type {Member[]} */
  gateways = []

  /** @param {NatsServer} nats */
  constructor(nats) {
    this.nats = nats
  }

  /**
   * Starts them. Returns once all is well.
   *
   * @param {string} folder of the model
   */
  static async start(folder) {
    const fleet = new ChaosFleet(await NatsServer.start())
    const model = ['--model', `${MODEL}=${folder}`, '--threads', '1', ...room]
    for (let i = 1; i <= WORKERS; i++) fleet.workers.push(await fleet.#add('worker', i, model))
    const limits = ['--timeout', `${TIMEOUT_SECONDS}`, '--drain', `${TIMEOUT_SECONDS}`]
    for (let i = 1; i <= GATEWAYS; i++) fleet.gateways.push(await fleet.#add('gateway', i, limits))
    await Promise.all(fleet.members.map((member) => member.ready()))
    await fleet.well()
    return fleet
  }

  get members() {
    return [...this.workers, ...this.gateways]
  }

  /** What counters of all gateways come to. @param {string} name */
  count(name) {
    return this.gateways.reduce((sum, gateway) => sum + gateway.count(name), 0)
  }

  /** Waits until every member is ready, and every gateway knows all workers, twice in a row. */
  async well() {
    await this.#until('well', async () => (await this.#isWell()) && (await this.#isWell()))
  }

  /** Waits until nobody works on anything. */
  async quiet() {
    await this.#until('quiet', async () => {
      const all = await Promise.all(this.members.map((member) => member.metrics()))
      return all.every(
        (metrics) =>
          metrics !== undefined &&
          !metrics['vllm:num_requests_running'] &&
          !metrics['vllm:num_requests_waiting'] &&
          !metrics.dotpool_gateway_attempts_in_flight,
      )
    })
  }

  /** Ends all. @returns {Promise<string[]>} what was not as it must be */
  async end() {
    const problems = []
    const before = await this.#registered()
    const living = this.workers.map(({ id }) => id)
    if (before.join() !== living.sort().join()) {
      problems.push(`the registry has ${before}, though the living workers are ${living}`)
    }
    for (const member of this.members) {
      const end = await member.drain()
      if (end !== 0) problems.push(`${member.name}, which had nothing to do, ended with ${end}`)
    }
    const left = await this.#registered()
    if (left.length > 0) problems.push(`the registry has ${left} after all have left`)
    await this.nats.stop()
    for (const { link } of this.members) link.close()
    return problems
  }

  /** Which workers are in the registry. */
  async #registered() {
    const connection = await connect({ port: this.nats.port })
    const bucket = await new Kvm(connection).open(`${PREFIX}-workers`)
    const keys = []
    for await (const key of await bucket.keys()) keys.push(key)
    await connection.close()
    return keys.sort()
  }

  /**
   * @param {'worker' | 'gateway'} role
   * @param {number} index
   * @param {string[]} args
   */
  async #add(role, index, args) {
    const link = await Link.open(this.nats.port)
    return new Member(role, index, link, ['--nats-prefix', PREFIX, ...args], this.log)
  }

  async #isWell() {
    const areReady = await Promise.all(this.members.map((member) => member.isReady()))
    const known = await Promise.all(this.gateways.map((gateway) => gateway.metrics()))
    await setTimeout(200)
    return (
      areReady.every(Boolean) &&
      known.every((metrics) => metrics?.dotpool_gateway_workers === WORKERS)
    )
  }

  /**
   * @param {string} what
   * @param {() => Promise<boolean>} isSo
   */
  async #until(what, isSo) {
    const deadline = performance.now() + RECOVERY_MILLIS
    while (!(await isSo())) {
      if (performance.now() > deadline)
        throw new Error(`the fleet is not ${what}: ${await this.#state()}`)
      await setTimeout(50)
    }
  }

  /** What its members say, for who looks into a failure. */
  async #state() {
    const states = this.members.map(async (member) => {
      const { name, process } = member
      if (!process.isRunning) return `${name} does not run`
      const metrics = (await member.metrics()) ?? {}
      const shown = Object.entries(metrics).filter(([key]) => /num_requests|_gateway_/.test(key))
      return `${name}, ready: ${await member.isReady()}: ${JSON.stringify(Object.fromEntries(shown))}`
    })
    return `\n${(await Promise.all(states)).join('\n')}`
  }
}
