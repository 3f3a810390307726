import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type BirpcReturn, createBirpc } from 'birpc'
import type { Bits } from '../../../dist/bench/models/bits.js'
import type { Commands } from './commands.js'
import type { ContenderName } from './runtimes.js'

/** A contender in a process of its own, so that the memory and threads of contenders do not disturb each other. */
export class ContenderProcess {
  readonly name: ContenderName
  readonly version: string
  /** Of each of the head's weights, as dotpool holds them. */
  readonly headBits: Bits
  readonly commands: BirpcReturn<Commands>
  readonly #child: ChildProcess

  private constructor(
    name: ContenderName,
    { version, headBits }: { version: string; headBits: Bits },
    commands: BirpcReturn<Commands>,
    child: ChildProcess,
  ) {
    this.name = name
    this.version = version
    this.headBits = headBits
    this.commands = commands
    this.#child = child
  }

  /**
   * Starts a contender.
   *
   * @throws Error if it does not run on this machine
   */
  static async start(name: ContenderName, threads: number): Promise<ContenderProcess> {
    const child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), [name], {
      // errors stay errors
      serialization: 'advanced',
    })
    const commands = createBirpc<Commands>(
      {},
      {
        post: (message) => child.send(message),
        on: (listen) => child.on('message', listen),
        // a prompt may take minutes
        timeout: -1,
      },
    )
    child.once('exit', (code, signal) => {
      commands.$close(new Error(`the process of ${name} ended: ${signal ?? code}`))
    })
    try {
      return new ContenderProcess(name, await commands.start(threads), commands, child)
    } catch (error) {
      child.kill()
      throw error
    }
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill()
    await ended
  }
}
