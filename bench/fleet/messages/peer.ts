import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What the process is to publish: chunks on a subject, or announcements in a bucket. */
export interface Order {
  readonly kind: 'publish' | 'announce'
  readonly subject: string
  readonly bytes: number
  readonly perSecond: number
  readonly seconds: number
  /** To publish on. */
  readonly connections: number
}

/** What it has published. */
export interface Report {
  readonly sent: number
  readonly millis: number
  readonly cpuMicros: number
}

/** A process at the other end of NATS. */
export class Peer implements AsyncDisposable {
  readonly #process: ChildProcess

  private constructor(process: ChildProcess) {
    this.#process = process
  }

  static async start(url: string): Promise<Peer> {
    const child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), [url], {
      serialization: 'advanced',
    })
    await once(child, 'message')
    return new Peer(child)
  }

  async run(order: Order): Promise<Report> {
    this.#process.send(order)
    const [report] = await once(this.#process, 'message')
    return report
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#process, 'exit')
    this.#process.disconnect()
    await exit
  }
}
