import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { folder } from '../oracle.js'

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Host } from './hosts.js' */

const cli = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))

/** Where members listen, each on its host, or next to each other on one. */
let nextPort = 20_000 + (process.pid % 20_000)

/** A worker or a gateway, which is started anew when it has ended. */
export class Member {
  /** @type {Host} */
  host
  /** @type {'worker' | 'gateway'} */
  role
  port = nextPort++
  #args
  /** @type {ChildProcess | undefined} */
  #child
  /** Whether it serves. */
  isUp = false
  /** How often it was ended, cut off or stopped: what it answered meanwhile may have broken off. */
  disturbances = 0

  /**
   * @param {Host} host
   * @param {'worker' | 'gateway'} role
   * @param {string} nats
   */
  constructor(host, role, nats) {
    this.host = host
    this.role = role
    const model = role === 'worker' ? ['--model', `toy=${folder}`, '--threads', '1'] : []
    const where = ['--host', host.address, '--port', `${this.port}`, '--drain', '3']
    this.#args = [
      process.execPath,
      cli,
      'serve',
      '--nats',
      nats,
      '--role',
      role,
      ...model,
      ...where,
    ]
  }

  get url() {
    return `http://${this.host.address}:${this.port}`
  }

  /** Starts it. Resolves once it serves, or has ended. */
  async start() {
    const [command, ...args] = [...this.host.prefix, ...this.#args]
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let errors = ''
    child.stderr.on('data', (data) => {
      errors += data
    })
    child.on('exit', () => {
      this.isUp = false
    })
    const exited = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout })) {
      if (JSON.parse(line).msg !== 'ready') continue
      this.isUp = true
      child.stdout.resume()
      return
    }
    await exited
    if (errors !== '') console.error(`${this.role}: ${errors.trim()}`)
  }

  /** Whether its process is there. */
  get isThere() {
    return this.#child !== undefined && this.#child.exitCode === null && !this.#child.signalCode
  }

  signal(/** @type {NodeJS.Signals} */ signal) {
    this.#child?.kill(signal)
  }

  /** Ends it, and resolves once it has. */
  async end(/** @type {NodeJS.Signals} */ signal) {
    const child = this.#child
    if (child === undefined || !this.isThere) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
}
