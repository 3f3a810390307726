import { Argument, Command } from 'commander'
import { bytes, duration } from '../measure/quantities.js'
import { Checkpoint } from '../model/checkpoint/checkpoint.js'
import { checkEmpty } from '../model/checkpoint/save.js'
import { readText } from '../model/json/files.js'
import type { Model } from '../model/model.js'
import { quantizeLinears } from '../model/replace.js'
import { Pool } from '../pool/pool.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { checkpointPath } from './model-options.js'
import { collect, threadsOption } from './options.js'
import { withProgressBar } from './progress.js'

interface QuantizeFlags {
  calibrate?: string
  skip?: string[]
  threads: number
}

export const quantizeCommand = new Command('quantize')
  .description('quantise a float checkpoint to int8 (W8A8, compressed-tensors)')
  .addArgument(
    new Argument('<in>', 'the checkpoint, a folder or a GGUF file').argParser(checkpointPath),
  )
  .addArgument(new Argument('<out>', 'a new folder, or an empty one'))
  .option('--skip <name>', 'leave this Linear as it is, e.g. down_proj; can be repeated', collect)
  .option(
    '--calibrate <file>',
    "round weights so that their errors compensate each other on this text (GPTQ), some thousand tokens typical of the model's use",
  )
  .addOption(threadsOption())
  .action((source: string, target: string, { calibrate, skip, threads }: QuantizeFlags) =>
    interruptible(async (signal) => {
      await checkEmpty(target)
      const text = calibrate === undefined ? undefined : await readText(calibrate)
      await using pool = await Pool.create({ threads })
      const quantize = text === undefined ? 'w8a8' : 'none'
      using model = await loadModel(pool, source, { quantize, skip, signal })
      if (text !== undefined) await quantizeCalibrated(model, text, skip, signal)
      await withProgressBar('saving', (onProgress) => model.save(target, { signal, onProgress }))
      const [before, after] = [await tensorBytes(source), await tensorBytes(target)]
      const elapsed = duration(performance.now() * 1e3)
      console.log(`${target}: ${bytes(before)} before, ${bytes(after)} now, in ${elapsed}`)
      console.log('int8 by channels; run here, it keeps outliers of each row of activations exact')
    }),
  )

/** Quantises the Linears of a float model with error compensation. */
async function quantizeCalibrated(
  model: Model,
  text: string,
  skip: readonly string[] = [],
  signal: AbortSignal,
): Promise<void> {
  const calibration = await model.tokenizer.encodeAsync(text, { signal })
  const { calibrationTokens } = await withProgressBar('quantising', (onProgress) =>
    quantizeLinears(model, { calibration, skip, signal, onProgress }),
  )
  console.log(`calibrated on ${calibrationTokens} of ${calibration.length} tokens`)
}

async function tensorBytes(folder: string): Promise<number> {
  await using checkpoint = await Checkpoint.open(folder)
  return checkpoint.dataBytes
}
