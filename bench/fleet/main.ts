import { Command } from 'commander'
import { costCommand } from './cost/command.js'
import { messagesCommand } from './messages/command.js'
import { simulateCommand } from './simulate/command.js'

await new Command('bench:fleet')
  .description('what a fleet does under load, simulated, and what its messages cost, measured')
  .addCommand(simulateCommand)
  .addCommand(messagesCommand)
  .addCommand(costCommand)
  .parseAsync()
