#!/usr/bin/env node
import { Command } from 'commander'
import { benchCommand } from './bench.js'
import { doctorCommand } from './doctor.js'
import { generateCommand } from './generate.js'
import { version } from './package.js'
import { reportError } from './report-error.js'

const program = new Command('dotpool')
  .description('int8 Linear layers on every core')
  .version(version)
  .addCommand(generateCommand)
  .addCommand(doctorCommand)
  .addCommand(benchCommand)

await program.parseAsync().catch(reportError)
