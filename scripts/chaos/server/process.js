import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** @typedef {import('../memory.js').Samples} Samples */
/** @typedef {{ running: number, waiting: number }} Stats */
/**
 * What a server holds while it has nothing to do.
 *
 * @typedef {object} DrainedState
 * @property {{ count: number, tenths: Samples } | undefined} memory of all samples so far
 * @property {string[]} descriptors
 * @property {string[]} resources that keep its event loop alive
 * @property {Record<string, number>} faults
 * @property {Record<string, number>} logged
 */

/** A server in a process of its own. */
export class ServerProcess {
  /** Errors that it logged. @type {string[]} */
  failures = []
  port = 0
  /** @type {Promise<[code: number | null, signal: string | null]>} */
  exited
  #child
  #id = 0
  /** @type {Map<number, (result: any) => void>} */
  #pending = new Map()

  constructor() {
    this.#child = fork(fileURLToPath(new URL('child.js', import.meta.url)), {
      // so that all memory is accounted for
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      execArgv: ['--max-semi-space-size=1'],
    })
    this.exited = /** @type {any} */ (once(this.#child, 'exit'))
    this.#child.on('message', (/** @type {any} */ message) => {
      const { id, result, failure } = message
      if (failure !== undefined) this.failures.push(failure)
      else if (id !== undefined) this.#pending.get(id)?.(result)
    })
  }

  /** Starts a server, which listens once this returns. */
  static async start() {
    const server = new ServerProcess()
    while (server.port === 0) {
      const [message] = await Promise.race([once(server.#child, 'message'), server.#died()])
      server.port = message.port ?? 0
    }
    return server
  }

  /** Injects faults into it. @returns {Promise<void>} */
  beginFaults(/** @type {number} */ seed) {
    return this.#call('beginFaults', seed)
  }

  /** @returns {Promise<void>} */
  endFaults() {
    return this.#call('endFaults')
  }

  /** @returns {Promise<Stats>} */
  stats() {
    return this.#call('stats')
  }

  /** @returns {Promise<DrainedState>} */
  drained() {
    return this.#call('drained')
  }

  /** Sends it SIGTERM. */
  terminate() {
    this.#child.kill('SIGTERM')
  }

  /** @returns {Promise<any>} */
  #call(/** @type {string} */ name, /** @type {unknown[]} */ ...args) {
    const id = ++this.#id
    const result = new Promise((resolve) => {
      this.#pending.set(id, resolve)
    })
    this.#child.send({ id, name, args })
    return Promise.race([result, this.#died()])
  }

  /** @returns {Promise<never>} */
  async #died() {
    const [code, signal] = await this.exited
    throw new Error(`the server ended: ${signal ?? code}\n${this.failures.join('\n')}`)
  }
}
