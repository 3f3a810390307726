#!/usr/bin/env node
import { Command } from 'commander'
import { version } from '../version.js'
import { batchCommand } from './batch.js'
import { benchCommand } from './bench.js'
import { chatCommand } from './chat.js'
import { doctorCommand } from './doctor.js'
import { evalCommand } from './eval.js'
import { generateCommand } from './generate.js'
import { packCommand } from './pack.js'
import { quantizeCommand } from './quantize.js'
import { reportError } from './report-error.js'
import { serveCommand } from './serve.js'

const program = new Command('dotpool')
  .description('int8 language models and Linear layers on every core')
  .version(version)
  .addCommand(generateCommand)
  .addCommand(chatCommand)
  .addCommand(serveCommand)
  .addCommand(batchCommand)
  .addCommand(quantizeCommand)
  .addCommand(packCommand)
  .addCommand(evalCommand)
  .addCommand(doctorCommand)
  .addCommand(benchCommand)

// the reader of stdout has closed it, as `head` does
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

await program.parseAsync().catch(reportError)
