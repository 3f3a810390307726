import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** A NATS server with a folder of its own. */
export class Nats {
  #address
  #port
  #folder = mkdtempSync(join(tmpdir(), 'dotpool-nats-'))
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child

  constructor(/** @type {string} */ address, port = 14_000 + (process.pid % 5000)) {
    this.#address = address
    this.#port = port
  }

  get url() {
    return `nats://${this.#address}:${this.#port}`
  }

  /** Starts it, with what it has stored. @throws where there is no nats-server */
  async start() {
    const where = ['-a', this.#address, '-p', `${this.#port}`, '-js', '-sd', this.#folder]
    const child = spawn('nats-server', where, { stdio: 'ignore' })
    this.#child = child
    await once(child, 'spawn')
    while (!(await this.#answers())) await setTimeout(10)
  }

  async kill() {
    const child = this.#child
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async remove() {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #answers() {
    const socket = connect(this.#port, this.#address)
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
