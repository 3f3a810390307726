import { statSync } from 'node:fs'
import { Argument, Command, Option } from 'commander'
import { bytes, duration } from '../measure/quantities.js'
import { quantizations } from '../model/config/quantization-config.js'
import type { LoadOptions } from '../model/load.js'
import { Pool } from '../pool/pool.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { checkpointPath } from './model-options.js'
import { collect, threadsOption } from './options.js'
import { withProgressBar } from './progress.js'

interface PackFlags extends Pick<LoadOptions, 'quantize' | 'skip'> {
  threads: number
}

export const packCommand = new Command('pack')
  .description(
    'write a checkpoint as one file that loads in milliseconds: weights as the kernels read them, which all processes of a machine share',
  )
  .addArgument(
    new Argument('<in>', 'the checkpoint, a folder or a GGUF file').argParser(checkpointPath),
  )
  .addArgument(new Argument('<out>', 'the file, such as model.dotpool; it may replace one'))
  .addOption(
    new Option(
      '--quantize <scheme>',
      'pack Linears in int8, most of them in four bits a weight, or in float (default: as stored)',
    ).choices(quantizations),
  )
  .option('--skip <name>', 'leave this Linear in float, e.g. down_proj; can be repeated', collect)
  .addOption(threadsOption())
  .action((source: string, target: string, { quantize, skip, threads }: PackFlags) =>
    interruptible(async (signal) => {
      await using pool = await Pool.create({ threads })
      using model = await loadModel(pool, source, { quantize, skip, signal })
      await withProgressBar('packing', (onProgress) => model.pack(target, { signal, onProgress }))
      const elapsed = duration(performance.now() * 1e3)
      console.log(`${target}: ${bytes(statSync(target).size)}, in ${elapsed}`)
    }),
  )
