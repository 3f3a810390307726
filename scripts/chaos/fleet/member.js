import http from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseMetrics } from '../server/account.js'
import { exchange } from '../server/exchange.js'
import { LoggedProcess } from './process.js'

/** @import { FleetLog } from './log.js' */
/** @import { Link } from './link.js' */

const program = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))

/** In which a process must do its part after it was started. */
const START_MILLIS = 60_000

/** In which metrics must come from a process that is not suspended. */
const METRICS_MILLIS = 5000

/** A place in the fleet for a worker or a gateway: one process after another. */
export class Member {
  name
  role
  link
  /** @type {LoggedProcess} */
  process
  /** Where the last process listens, and who it is in the fleet. */
  port = 0
  id = ''
  #args
  #log
  #isReady = false
  /** What counters had reached when earlier processes ended, and of the last. @type {Record<string, number>} */
  #before = {}
  /** @type {Record<string, number>} */
  #counts = {}

  /**
   * @param {'worker' | 'gateway'} role
   * @param {number} index
   * @param {Link} link
   * @param {string[]} args of its role
   * @param {FleetLog} log
   */
  constructor(role, index, link, args, log) {
    this.name = `${role} ${index}`
    this.role = role
    this.link = link
    const url = `nats://127.0.0.1:${link.port}`
    this.#args = [program, 'serve', '--nats', url, '--role', role, '--port', '0', ...args]
    this.#log = log
    this.process = this.#spawn()
  }

  get agent() {
    return new http.Agent({ host: '127.0.0.1', port: this.port })
  }

  /** Starts another process in its place. */
  async start() {
    for (const [name, count] of Object.entries(this.#counts)) {
      this.#before[name] = (this.#before[name] ?? 0) + count
    }
    this.#counts = {}
    this.process = this.#spawn()
    await this.ready()
  }

  /** Resolves once it does its part. */
  async ready() {
    const deadline = performance.now() + START_MILLIS
    while (!this.#isReady) {
      if (!this.process.isRunning) throw new Error(`${this.name} has ended at its start`)
      if (performance.now() > deadline) throw new Error(`${this.name} does not start`)
      await setTimeout(20)
    }
  }

  /** Ends it without any warning. */
  async kill() {
    await this.metrics()
    await this.process.kill()
  }

  /** Has it end once it has done what it has to do. Returns how it ended. */
  async drain() {
    await this.metrics()
    this.process.signal('SIGTERM')
    const [code, signal] = await this.process.exited
    return signal ?? code
  }

  /** @returns its metrics; undefined where it does not tell */
  async metrics() {
    try {
      const limit = { leavesAfterMillis: METRICS_MILLIS }
      const { status, text } = await exchange(this.agent, '/metrics', undefined, limit)
      if (status !== 200) return undefined
      this.#counts = parseMetrics(text)
      return this.#counts
    } catch {
      return undefined
    }
  }

  /** What a counter of all its processes comes to, as far as they have told. @param {string} name */
  count(name) {
    return (this.#before[name] ?? 0) + (this.#counts[name] ?? 0)
  }

  /** Whether it says that it does its part. */
  async isReady() {
    try {
      const limit = { leavesAfterMillis: METRICS_MILLIS }
      return (await exchange(this.agent, '/readyz', undefined, limit)).status === 200
    } catch {
      return false
    }
  }

  #spawn() {
    this.#isReady = false
    return new LoggedProcess(process.execPath, this.#args, (text) => {
      const line = this.#log.read(this.name, text)
      const port = /^Server listening at .*:(\d+)$/.exec(line?.msg)?.[1]
      if (port !== undefined) this.port = Number(port)
      else if (line?.msg === 'joined the fleet') this.id = line.worker
      else if (line?.msg === 'ready') this.#isReady = true
    })
  }
}
