import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cpuMillisOf } from '../nats-server.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))

/** A `dotpool serve`. */
export class ServeProcess implements AsyncDisposable {
  readonly url: string
  readonly #process: ChildProcess

  private constructor(url: string, process: ChildProcess) {
    this.url = url
    this.#process = process
  }

  /** Starts it, and waits until it is ready. */
  static async start(...args: string[]): Promise<ServeProcess> {
    const port = await freePort()
    const child = spawn(process.execPath, [main, 'serve', '--port', `${port}`, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const server = new ServeProcess(`http://127.0.0.1:${port}`, child)
    while (!(await server.#isReady())) {
      if (child.exitCode !== null) throw new Error(`dotpool serve ${args.join(' ')} has ended`)
      await setTimeout(100)
    }
    return server
  }

  /** CPU time so far, milliseconds. */
  get cpuMillis(): number {
    return cpuMillisOf(this.#process.pid as number)
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/readyz`)).ok
    } catch {
      return false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#process, 'exit')
    this.#process.kill()
    await exit
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
