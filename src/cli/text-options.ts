import { Option } from 'commander'
import type { GenerateOptions } from '../model/generation/generate.js'
import type { Sampling } from '../model/generation/sampler.js'
import type { ResponseFormat } from '../model/grammar/response-format.js'
import { collect, json, number } from './options.js'

/** The options of a command that generates text. */
export interface TextFlags
  extends Sampling,
    Pick<GenerateOptions, 'maxTokens' | 'stop' | 'responseFormat'> {}

/** Options that set the length of a text, and its sampling. */
export function textOptions(): Option[] {
  const numbers: [string, string, number?][] = [
    ['--temperature <t>', '0 is greedy: always the likeliest token', 0.8],
    ['--top-k <k>', 'sample from the k likeliest tokens only'],
    ['--top-p <p>', 'sample from the likeliest tokens of total probability p', 0.95],
    ['--min-p <p>', 'sample from tokens at least p times as likely as the likeliest'],
    ['--repetition-penalty <f>', 'above 1 makes repeated tokens less likely'],
    ['--seed <n>', 'makes sampling repeatable'],
  ]
  return [
    ...numbers.map(([flags, description, value]) =>
      new Option(flags, description).argParser(number).default(value),
    ),
    new Option('--stop <text>', 'end before this text; can be repeated').argParser(collect),
    new Option(
      '--response-format <json>',
      'what the text is to look like: {"type":"json_object"}, or any of docs/response-formats.md',
    ).argParser(json<ResponseFormat>),
  ]
}

/** Converts flags to the library's options. */
export function toGenerateOptions(flags: TextFlags): GenerateOptions {
  const { maxTokens, stop, responseFormat, ...others } = flags
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = others
  const sampling = { temperature, topK, topP, minP, repetitionPenalty, seed }
  return { maxTokens, stop, responseFormat, sampling }
}
