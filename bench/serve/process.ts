import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type BirpcReturn, createBirpc } from 'birpc'
import type { Commands } from './commands.js'

/** A process that runs commands: servers and the client do not share memory, threads or an event loop. */
export class CommandProcess {
  readonly commands: BirpcReturn<Commands>
  readonly stop: () => void

  constructor(name: string) {
    const child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), {
      // errors stay errors
      serialization: 'advanced',
    })
    this.commands = createBirpc<Commands>(
      {},
      {
        post: (message) => child.send(message),
        on: (listen) => child.on('message', listen),
        // a load may take minutes
        timeout: -1,
      },
    )
    child.once('exit', (code, signal) => {
      this.commands.$close(new Error(`the process of ${name} ended: ${signal ?? code}`))
    })
    this.stop = () => child.disconnect()
  }
}
