import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import { cacheTypes } from '../layouts/kv-page.js'
import { quantizations } from '../model/config/quantization-config.js'
import { describeOutliers } from '../model/decoder/model-linear.js'
import type { LoadOptions } from '../model/load.js'
import { weightTypes } from '../ops/weight.js'
import { collect, number, threadsOption } from './options.js'

/** The options of a command that runs a model. */
export interface ModelFlags
  extends Pick<
    LoadOptions,
    'quantize' | 'head' | 'skip' | 'outliers' | 'kv' | 'maxContext' | 'verify'
  > {
  /** The checkpoint's folder, or a GGUF file, or a packed model. */
  model: string
  threads: number
}

/** `--model <path>`; a command makes it mandatory, or gives it a default. */
export function modelOption(): Option {
  return new Option(
    '--model <path>',
    'a checkpoint folder in the Hugging Face layout, a GGUF file, or what `dotpool pack` wrote',
  ).argParser(checkpointPath)
}

/** `--head <type>` */
export function headOption(): Option {
  return new Option(
    '--head <type>',
    "the head's weights beside Linears in four bits: faster in int4, truer in int8 (default: as stored, int8 if that is float)",
  ).choices(weightTypes)
}

/** Options that change a model's numbers. */
export function precisionOptions(): Option[] {
  return [
    new Option(
      '--quantize <scheme>',
      'run Linears in int8, most of them in four bits a weight, or in float32 (default: as stored)',
    ).choices(quantizations),
    headOption(),
    new Option(
      '--skip <name>',
      'leave this Linear in float, e.g. down_proj; can be repeated',
    ).argParser(collect),
    new Option(
      '--outliers <n>',
      `the most elements of a row of activations that int8 Linears keep exact (default: ${describeOutliers()})`,
    ).argParser(number),
    new Option(
      '--kv <type>',
      'dtype of the KV cache (default: bfloat16; float32 if nothing is quantised)',
    ).choices(cacheTypes),
  ]
}

/** Options that set how the model runs. */
export function runOptions(): Option[] {
  return [
    ...precisionOptions(),
    new Option(
      '--max-context <n>',
      'the most tokens of a sequence (default: what the model was trained for)',
    ).argParser(number),
    new Option(
      '--verify',
      'compare the weights of a packed model with their checksum, which reads all of them',
    ),
    threadsOption(),
  ]
}

/** Converts flags to the library's options. */
export function toLoadOptions(flags: ModelFlags): LoadOptions {
  const { quantize, head, skip, outliers, kv, maxContext, verify } = flags
  return { quantize, head, skip, outliers, kv, maxContext, verify }
}

/** Reads the path of a checkpoint. The library says what is wrong inside of it. */
export function checkpointPath(path: string): string {
  if (existsSync(join(path, 'config.json'))) return path
  if (existsSync(path) && statSync(path).isFile()) return path
  const wrong = existsSync(path) ? 'It has no config.json.' : 'There is no such folder or file.'
  throw new InvalidArgumentError(
    `${wrong} A checkpoint is a folder with config.json, tokenizer.json and safetensors, a GGUF file, or a packed model.`,
  )
}
