import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import type { LoadOptions } from '../model/load.js'
import { number, threadsOption } from './options.js'

/** What a command that runs a model is told of it. */
export interface ModelFlags extends Pick<LoadOptions, 'quantize' | 'kv' | 'maxContext'> {
  /** The checkpoint's folder. */
  model: string
  threads: number
}

/** `--model <folder>`; a command makes it mandatory, or gives it a default. */
export function modelOption(): Option {
  return new Option('--model <folder>', 'a checkpoint in the Hugging Face layout').argParser(
    checkpointFolder,
  )
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

/** Reads the path of a checkpoint's folder. The library says what is wrong inside of it. */
export function checkpointFolder(path: string): string {
  if (existsSync(join(path, 'config.json'))) return path
  throw new InvalidArgumentError(
    `${whatIsWrong(path)} A checkpoint is a folder with config.json, tokenizer.json and safetensors.`,
  )
}

function whatIsWrong(path: string): string {
  if (!existsSync(path)) return 'There is no such folder.'
  return statSync(path).isDirectory() ? 'It has no config.json.' : 'It is a file.'
}
