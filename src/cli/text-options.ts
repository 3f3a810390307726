import { Option } from 'commander'
import type { GenerateOptions } from '../model/generation/generate.js'
import type { Sampling } from '../model/generation/sampler.js'
import { collect, number } from './options.js'

/** What a command that writes text is told of it. */
export interface TextFlags extends Sampling, Pick<GenerateOptions, 'maxTokens' | 'seed' | 'stop'> {}

/** How long a text becomes, and how its tokens are drawn. */
export function textOptions(): Option[] {
  const numbers: [string, string, number?][] = [
    ['--temperature <t>', '0 always takes the likeliest token', 0.8],
    ['--top-k <k>', 'draw from the k likeliest tokens only'],
    ['--top-p <p>', 'draw from the likeliest tokens of total probability p', 0.95],
    ['--min-p <p>', 'draw from tokens at least p times as likely as the likeliest'],
    ['--repetition-penalty <f>', 'above 1 makes tokens that were there before less likely'],
    ['--seed <n>', 'makes the draws repeatable'],
  ]
  return [
    ...numbers.map(([flags, description, value]) =>
      new Option(flags, description).argParser(number).default(value),
    ),
    new Option('--stop <text>', 'end before this text; may be given again').argParser(collect),
  ]
}

/** What the library is told of it. */
export function toGenerateOptions(flags: TextFlags): GenerateOptions {
  const { maxTokens, seed, stop, ...others } = flags
  const { temperature, topK, topP, minP, repetitionPenalty } = others
  return { maxTokens, seed, stop, sampling: { temperature, topK, topP, minP, repetitionPenalty } }
}
