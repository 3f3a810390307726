import { Command } from 'commander'
import { threadsOption } from './options.js'

export const benchCommand = new Command('bench')
  .description('measure Linears, the region and the event loop against what this machine can do')
  .option('--scope <names...>', 'which suites to run (default: all)')
  .option('--json <file>', 'write every number to a file')
  .addOption(threadsOption())
  .action(async (options: { scope?: string[]; json?: string; threads: number }) => {
    const { runBench } = await import('../../bench/main.js')
    await runBench(options)
  })
