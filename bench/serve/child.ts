import { createBirpc } from 'birpc'
import { type Commands, makeCommands } from './commands.js'

/*
 * A process that runs the parent's commands until the parent ends.
 */

createBirpc<object, Commands>(makeCommands(), {
  post: (message) => process.send?.(message),
  on: (listen) => process.on('message', listen),
})
process.on('disconnect', () => process.exit())
