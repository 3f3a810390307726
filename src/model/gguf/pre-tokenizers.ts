import { FormatError } from '../../errors.js'
import { show } from '../json/fields.js'

/*
 * How byte-level tokenizers split a text into words before they merge, by llama.cpp's names in `tokenizer.ggml.pre`.
 * Each pattern splits what those before it left; text that it does not match stays one word. They are the patterns of
 * the models' own tokenizer.json.
 */

export interface PreTokenizer {
  readonly patterns: readonly string[]
  /** Whether words of the vocabulary stay whole. */
  readonly ignoreMerges: boolean
  /** Whether a text starts with the beginning-of-sequence token, unless the file says otherwise. */
  readonly addsBos: boolean
}

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
const start = '[^\\r\\n\\p{L}\\p{N}]?'
const spaces = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** Of GPT-4, with at most this many digits in a word. */
const gpt4 = (digits: string) =>
  `${contractions}|${start}\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${spaces}`

/** Of GPT-4o, which splits before a capital letter. */
const gpt4o = (ending: string, digits: string) =>
  `${start}${upper}*${lower}+${ending}|${start}${upper}+${lower}*${ending}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${spaces}`

const han = '[一-龥\\u3040-ゟ゠-ヿ]+'
const punctuation = '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]'

const deepseek3 = [
  '\\p{N}{1,3}',
  han,
  `${punctuation}[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|${spaces}`,
]

const plain = { ignoreMerges: false, addsBos: false }
const llama3 = { patterns: [gpt4('\\p{N}{1,3}')], ignoreMerges: true, addsBos: true }

const kinds: readonly (readonly [names: string, kind: PreTokenizer])[] = [
  [
    'default',
    {
      patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2, '\\p{N}+', '[0-9][0-9][0-9]'],
      ...plain,
    },
  ],
  [
    'gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 mellum gigachat a.x-4.0',
    { patterns: [gpt2], ...plain },
  ],
  [
    'smollm starcoder refact command-r codeshell exaone minerva-7b mellum2',
    { patterns: ['\\p{N}', gpt2], ...plain },
  ],
  ['llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2', llama3],
  ['smaug-bpe dbrx chatglm-bpe glm4', { ...llama3, ...plain }],
  [
    'qwen2 deepseek-r1-qwen megrez kormo stablelm2 hunyuan solar-open grok-2',
    { patterns: [gpt4('\\p{N}')], ...plain },
  ],
  ['tekken', { patterns: [gpt4o('', '\\p{N}')], ignoreMerges: true, addsBos: true }],
  ['gpt-4o llama4 kanana2', { patterns: [gpt4o(`${contractions}?`, '\\p{N}{1,3}')], ...plain }],
  ['deepseek-v3 hunyuan-dense joyai-llm', { patterns: deepseek3, ...plain }],
  [
    'deepseek-coder',
    {
      patterns: [
        '[\\r\\n]',
        '\\s?\\p{L}+',
        '\\s?\\p{P}+',
        '[一-龥\\u0800-一가-\\ud7ff]+',
        '\\p{N}',
      ],
      ...plain,
    },
  ],
  [
    'seed-coder',
    {
      patterns: [`${contractions}|${start}\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${spaces}`],
      ...plain,
    },
  ],
  ['falcon', { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', gpt2, '[0-9][0-9][0-9]'], ...plain }],
]

const byName = new Map(kinds.flatMap(([names, kind]) => names.split(' ').map((n) => [n, kind])))

/**
 * @param file named in errors
 * @param name of the kind, as the file spells it
 * @throws FormatError for one that this version does not support
 */
export function preTokenizer(file: string, name: string): PreTokenizer {
  const kind = byName.get(name)
  if (kind !== undefined) return kind
  const known = [...byName.keys()].join(', ')
  throw new FormatError(file, `tokenizer.ggml.pre ${show(name)} is not supported, only ${known}`)
}
