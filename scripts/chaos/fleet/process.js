import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Those that run: none of them outlives this process. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

/** A process whose output is read line by line. */
export class LoggedProcess {
  /** @type {Promise<[code: number | null, signal: string | null]>} */
  exited
  #child

  /**
   * @param {string} command
   * @param {string[]} args
   * @param {(line: string) => void} onLine
   */
  constructor(command, args, onLine) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    this.#child = child
    this.exited = /** @type {any} */ (once(child, 'exit'))
    child.on('exit', () => running.delete(child))
    for (const output of [child.stdout, child.stderr]) {
      createInterface({ input: output }).on('line', onLine)
    }
  }

  get isRunning() {
    return running.has(this.#child)
  }

  /** @param {NodeJS.Signals} signal */
  signal(signal) {
    this.#child.kill(signal)
  }

  /** Ends it without any warning. */
  async kill() {
    this.signal('SIGKILL')
    await this.exited
  }
}
