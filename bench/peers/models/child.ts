import { createBirpc } from 'birpc'
import { type Commands, commandsOf } from './commands.js'
import type { ContenderName } from './runtimes.js'

/*
 * A contender's process: it runs the parent's commands until the parent ends.
 */

createBirpc<object, Commands>(commandsOf(process.argv[2] as ContenderName), {
  post: (message) => process.send?.(message),
  on: (listen) => process.on('message', listen),
})
process.on('disconnect', () => process.exit())
