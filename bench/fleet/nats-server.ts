import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A NATS server of this benchmark's own, with JetStream in a folder that goes with it. */
export class NatsServer implements AsyncDisposable {
  readonly url: string
  readonly #process: ChildProcess
  readonly #folder: string

  private constructor(url: string, process: ChildProcess, folder: string) {
    this.url = url
    this.#process = process
    this.#folder = folder
  }

  /** @throws Error where there is no nats-server, or it does not start */
  static async start(): Promise<NatsServer> {
    const folder = await mkdtemp(join(tmpdir(), 'dotpool-nats-'))
    // port -1: any that is free
    const args = ['--addr', '127.0.0.1', '--port', '-1', '--jetstream', '--store_dir', folder]
    const child = spawn('nats-server', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    child.once('error', (error) => {
      console.error(
        `nats-server does not start: ${error.message}. Install it: apt install nats-server`,
      )
      process.exit(1)
    })
    let port: string | undefined
    for await (const line of createInterface(child.stderr)) {
      port = /client connections on .*:(\d+)/.exec(line)?.[1] ?? port
      if (line.includes('Server is ready')) break
    }
    if (port === undefined) throw new Error('nats-server ended before it was ready')
    child.stderr.resume()
    return new NatsServer(`nats://127.0.0.1:${port}`, child, folder)
  }

  /** CPU time so far, milliseconds. */
  get cpuMillis(): number {
    return cpuMillisOf(this.#process.pid as number)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#process, 'exit')
    this.#process.kill()
    await exit
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** CPU time of a process on Linux, milliseconds. */
export function cpuMillisOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // behind the name, which may have spaces
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  // a tick is 10 ms wherever Linux runs Node.js
  return ticks * 10
}
