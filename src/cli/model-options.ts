import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import type { LoadOptions } from '../model/load.js'
import { number, threadsOption } from './options.js'

/** What a command that runs a model is told of it. */
export interface ModelFlags extends Pick<LoadOptions, 'quantize' | 'kv' | 'maxContext'> {
  /** The checkpoint's folder, or a GGUF file. */
  model: string
  threads: number
}

/** `--model <path>`; a command makes it mandatory, or gives it a default. */
export function modelOption(): Option {
  return new Option(
    '--model <path>',
    'a checkpoint folder in the Hugging Face layout, or a GGUF file',
  ).argParser(checkpointPath)
}

/** How the model runs. */
export function runOptions(): Option[] {
  return [
    new Option(
      '--quantize <scheme>',
      'run Linears in int8, or in float32 (default: as stored)',
    ).choices(['w8a8', 'none']),
    new Option(
      '--kv <type>',
      'of keys and values (default: bf16; f32 if nothing is quantised)',
    ).choices(['f32', 'bf16', 'int8']),
    new Option(
      '--max-context <n>',
      'the most tokens of one text (default: what it was made for)',
    ).argParser(number),
    threadsOption(),
  ]
}

/** What the library is told of it. */
export function toLoadOptions({ quantize, kv, maxContext }: ModelFlags): LoadOptions {
  return { quantize, kv, maxContext }
}

/** Reads the path of a checkpoint. The library says what is wrong inside of it. */
export function checkpointPath(path: string): string {
  if (existsSync(join(path, 'config.json'))) return path
  if (existsSync(path) && statSync(path).isFile()) return path
  const wrong = existsSync(path) ? 'It has no config.json.' : 'There is no such folder or file.'
  throw new InvalidArgumentError(
    `${wrong} A checkpoint is a folder with config.json, tokenizer.json and safetensors, or a GGUF file.`,
  )
}
