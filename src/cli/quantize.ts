import { stat } from 'node:fs/promises'
import { Argument, Command, Option } from 'commander'
import { bytes, duration } from '../measure/quantities.js'
import { Checkpoint } from '../model/checkpoint/checkpoint.js'
import { checkEmpty } from '../model/checkpoint/save.js'
import { readText } from '../model/json/files.js'
import type { Model } from '../model/model.js'
import { isPacked } from '../model/packed/packed-file.js'
import { type QuantizeOptions, quantizeLinears } from '../model/replace.js'
import { Pool } from '../pool/pool.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { checkpointPath, headOption } from './model-options.js'
import { collect, number, threadsOption } from './options.js'
import { withProgressBar } from './progress.js'
import { presentWidths } from './width-table.js'

interface QuantizeFlags extends Pick<QuantizeOptions, 'quantize' | 'head' | 'bits'> {
  calibrate?: string
  skip?: string[]
  threads: number
}

export const quantizeCommand = new Command('quantize')
  .description(
    'quantise a checkpoint to int8 (W8A8, compressed-tensors), or most of it to four bits a weight (W4A8)',
  )
  .addArgument(
    new Argument('<in>', 'the checkpoint, a folder or a GGUF file').argParser(checkpointPath),
  )
  .addArgument(new Argument('<out>', 'a new folder, or an empty one'))
  .addOption(
    new Option(
      '--quantize <scheme>',
      'w8a8, or w4a8 for four bits a weight but for every v_proj, the last down_proj and the head (default: w8a8)',
    ).choices(['w8a8', 'w4a8']),
  )
  .addOption(headOption())
  .option(
    '--bits <n>',
    'w4a8 with at most this many bits a weight, on average over all Linears but the head, from 4.25 on: those that four bits harm most get eight; with --calibrate the harm is measured',
    number,
  )
  .option('--skip <name>', 'leave this Linear as it is, e.g. down_proj; can be repeated', collect)
  .option(
    '--calibrate <file>',
    "round weights so that their errors compensate each other on this text (GPTQ), some thousand tokens typical of the model's use",
  )
  .addOption(threadsOption())
  .action((source: string, target: string, flags: QuantizeFlags) =>
    interruptible(async (signal) => {
      const { calibrate, bits, head, skip, threads } = flags
      const quantize = flags.quantize ?? (bits === undefined ? 'w8a8' : 'w4a8')
      await checkEmpty(target)
      const text = calibrate === undefined ? undefined : await readText(calibrate)
      await using pool = await Pool.create({ threads })
      const isLoadedFloat = text !== undefined || bits !== undefined
      using model = await loadModel(pool, source, {
        ...(isLoadedFloat ? { quantize: 'none' } : { quantize, head }),
        ...{ skip, signal },
      })
      if (isLoadedFloat) await quantizeLoaded(model, text, { quantize, head, bits, skip, signal })
      await withProgressBar('saving', (onProgress) => model.save(target, { signal, onProgress }))
      const [before, after] = [await tensorBytes(source), await tensorBytes(target)]
      const elapsed = duration(performance.now() * 1e3)
      console.log(`${target}: ${bytes(before)} before, ${bytes(after)} now, in ${elapsed}`)
      const groups = quantize === 'w4a8' ? 'four bits by groups of 32, the rest in ' : ''
      console.log(
        `${groups}int8 by channels; run here, it keeps outliers of each row of activations exact`,
      )
    }),
  )

/** Quantises the Linears of a float model: with error compensation on a text, by a budget, or both. */
async function quantizeLoaded(
  model: Model,
  text: string | undefined,
  { skip = [], signal, ...scheme }: QuantizeOptions & { signal: AbortSignal },
): Promise<void> {
  const calibration =
    text === undefined ? undefined : await model.tokenizer.encodeAsync(text, { signal })
  const { calibrationTokens, widths } = await withProgressBar('quantising', (onProgress) =>
    quantizeLinears(model, { ...scheme, calibration, skip, signal, onProgress }),
  )
  if (calibration !== undefined) {
    console.log(`calibrated on ${calibrationTokens} of ${calibration.length} tokens`)
  }
  if (scheme.quantize === 'w4a8') console.log(presentWidths(widths))
}

async function tensorBytes(folder: string): Promise<number> {
  if (await isPacked(folder)) return (await stat(folder)).size
  await using checkpoint = await Checkpoint.open(folder)
  return checkpoint.dataBytes
}
