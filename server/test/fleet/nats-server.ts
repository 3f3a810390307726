import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { generate } from 'selfsigned'
import { it } from 'vitest'

/** Whether tests that need a NATS server can run. */
export const hasNats = spawnSync('nats-server', ['--version']).status === 0

/** Says in the report why tests are not there. */
export function tellWithoutNats(): void {
  if (!hasNats)
    it.skip('needs nats-server: `apt install nats-server`, or https://nats.io', () => {})
}

/** A NATS server on a port, and in a folder, of its own. */
export class NatsServer {
  readonly port: number
  readonly #folder: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port
    this.#folder = folder
    this.#args = args
  }

  /** @param args of nats-server, beside those that say where it listens and stores */
  static async start(...args: string[]): Promise<NatsServer> {
    const folder = await mkdtemp(join(tmpdir(), 'dotpool-nats-'))
    const server = new NatsServer(await freePort(), folder, args)
    await server.start()
    return server
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Starts it again, where it was and with what it has stored. */
  async start(): Promise<void> {
    const where = ['-a', '127.0.0.1', '-p', `${this.port}`, '-js', '-sd', this.#folder]
    const child = spawn('nats-server', [...where, ...this.#args], { stdio: 'ignore' })
    this.#child = child
    while (!(await this.#answers())) {
      if (child.exitCode !== null) throw new Error(`nats-server has ended: ${child.exitCode}`)
      await setTimeout(10)
    }
  }

  /** @param signal SIGKILL by default */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async stop(): Promise<void> {
    await this.kill()
    await rm(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #answers(): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1')
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/**
 * A server that is encrypted and asks for a certificate.
 *
 * @param folder for what it needs
 * @returns with the files of a client that it knows
 */
export async function startEncrypted(
  folder: string,
): Promise<{ nats: NatsServer; tls: { ca: string; cert: string; key: string } }> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  })
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  await writeFile(files.cert, cert)
  await writeFile(files.key, key)
  const args = ['--tlscert', files.cert, '--tlskey', files.key, '--tlscacert', files.cert]
  const nats = await NatsServer.start('--tls', '--tlsverify', ...args)
  return { nats, tls: { ca: files.cert, ...files } }
}
