import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { LoggedProcess } from './process.js'

/** Whether there is a NATS server to start. */
export const hasNats = spawnSync('nats-server', ['--version']).status === 0

/** The NATS server of the fleet: always at the same port, with the same files. */
export class NatsServer {
  name = 'NATS'
  port
  /** @type {LoggedProcess} */
  process
  #folder

  /**
   * @param {number} port
   * @param {string} folder
   */
  constructor(port, folder) {
    this.port = port
    this.#folder = folder
    this.process = this.#spawn()
  }

  static async start() {
    const folder = await mkdtemp(join(tmpdir(), 'dotpool-chaos-nats-'))
    const server = new NatsServer(await freePort(), folder)
    await server.#listening()
    return server
  }

  /** Starts it again, with what it had stored. */
  async start() {
    this.process = this.#spawn()
    await this.#listening()
  }

  async stop() {
    this.process.signal('SIGTERM')
    await this.process.exited
    await rm(this.#folder, { recursive: true })
  }

  #spawn() {
    const args = ['-a', '127.0.0.1', '-p', `${this.port}`, '-js', '-sd', this.#folder]
    return new LoggedProcess('nats-server', args, () => {})
  }

  async #listening() {
    while (!(await this.#answers())) {
      if (!this.process.isRunning) throw new Error('nats-server has ended')
      await setTimeout(20)
    }
  }

  /** It greets whoever connects. */
  async #answers() {
    const socket = net.connect(this.port, '127.0.0.1')
    try {
      await once(socket, 'data')
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {net.AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}
