import { Command } from 'commander'
import type { BenchOptions } from '../../bench/main.js'
import { threadsOption } from './options.js'

export const benchCommand = new Command('bench')
  .description('measure Linears, the region and the event loop against the bounds of this machine')
  .option('--scope <names...>', 'which suites to run (default: all)')
  .option(
    '--json <path>',
    'write every number to a file, or into a folder, named after the machine',
  )
  .option(
    '--compare <file>',
    'report changes since --json wrote this file; exit with 1 if anything is worse',
  )
  .addOption(threadsOption())
  .action(async (options: BenchOptions) => {
    const { runBench } = await import('../../bench/main.js')
    const { regressions, impossible } = await runBench(options)
    if (regressions.length + impossible.length > 0) process.exitCode = 1
  })
