import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { fixture } from '../support.js'
import type { Host } from './host.js'

const cli = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))

function toWorker(nats: string): string[] {
  return ['--nats', nats, '--role', 'worker', '--model', `toy=${fixture}`, '--threads', '1']
}

/** A line of a member's log. */
export type LogLine = Readonly<Record<string, unknown>>

/** A member of a fleet as a process, as users start it. */
export class MemberProcess {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly lines: LogLine[] = []
  readonly #waiting = new Set<() => void>()
  #errors = ''

  private constructor(args: readonly string[], host?: Host) {
    const serve = [process.execPath, cli, 'serve', '--port', '0', ...args]
    const [command, ...rest] = host === undefined ? serve : [...host.command, ...serve]
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#exited = once(child, 'exit').then(() => this.#notify())
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line))
      this.#notify()
    })
    child.stderr.on('data', (data) => {
      this.#errors += data
    })
  }

  /** Starts one that has the toy model, and waits until it serves. */
  static async worker(nats: string, ...args: string[]): Promise<MemberProcess> {
    return await MemberProcess.#start([...toWorker(nats), ...args])
  }

  /** Starts such a worker on another host. */
  static async workerOn(host: Host, nats: string, ...args: string[]): Promise<MemberProcess> {
    return await MemberProcess.#start([...toWorker(nats), ...args], host)
  }

  static async gateway(nats: string, ...args: string[]): Promise<MemberProcess> {
    return await MemberProcess.#start(['--nats', nats, '--role', 'gateway', ...args])
  }

  static async #start(args: readonly string[], host?: Host): Promise<MemberProcess> {
    const member = new MemberProcess(args, host)
    await member.logs(({ msg }) => msg === 'ready')
    return member
  }

  get url(): string {
    const line = this.lines.find(({ msg }) => String(msg).startsWith('Server listening at '))
    return String(line?.msg).slice('Server listening at '.length)
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  get exitCode(): number | null {
    return this.#child.exitCode
  }

  /** Resolves once it has logged a line. @throws if it ends before */
  async logs(isIt: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const line = this.lines.find(isIt)
      if (line !== undefined) return line
      if (this.hasExited) throw new Error(`it has ended: ${this.#errors}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it, and resolves once it has. */
  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.hasExited) this.#child.kill(signal)
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  #notify(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
