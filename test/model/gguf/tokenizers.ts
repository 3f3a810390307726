import { join } from 'node:path'
import { GgufFile } from '#src/model/gguf/gguf-file.js'
import { tokenizerJson, vocabularyOf } from '#src/model/gguf/tokenizer-json.js'
import type { Vocabulary } from '#src/model/gguf/vocabulary.js'
import type { Tokenizer } from '#src/model/text/tokenizer.js'
import type { gguf } from '../../support/gguf.js'
import { array, bool, float32, int32, string, strings, uint32 } from '../../support/gguf.js'
import { fixture, readJson } from '../support.js'
import { parseTokenizer } from '../texts.js'

/*
 * Metadata of GGUF files with small tokenizers (byte pairs of the fixture, and pieces made up here), and what is read
 * from such files.
 */

type Fields = Record<string, Parameters<typeof gguf>[0][string]>

const [NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE] = [1, 2, 3, 4, 6]

/** The fixture's vocabulary, with tokens for the roles, pre-tokenised as `pre` says. */
export function byteLevelFields(pre: string, changes: Fields = {}): Fields {
  const { model } = readJson(join(fixture, 'tokenizer.json'))
  const vocab = Object.entries(model.vocab as Record<string, number>).sort(([, a], [, b]) => a - b)
  const added = ['<|bos|>', '<|im_end|>', '<think>', 'user  defined']
  const tokens = [...vocab.map(([token]) => token), ...added]
  const kinds = tokens.map((token) => {
    if (token === '<think>' || token === 'user  defined') return USER_DEFINED
    return added.includes(token) || token === '<|endoftext|>' ? CONTROL : NORMAL
  })
  return {
    'general.architecture': string('llama'),
    'tokenizer.ggml.model': string('gpt2'),
    'tokenizer.ggml.pre': string(pre),
    'tokenizer.ggml.tokens': strings(tokens),
    'tokenizer.ggml.token_type': array(kinds.map(int32)),
    'tokenizer.ggml.merges': strings(
      model.merges.map((merge: string | [string, string]) => [merge].flat().join(' ')),
    ),
    'tokenizer.ggml.bos_token_id': uint32(tokens.indexOf('<|bos|>')),
    'tokenizer.ggml.eos_token_id': uint32(tokens.indexOf('<|im_end|>')),
    ...changes,
  }
}

/** Merges that SentencePiece may have learned, in order of priority. */
const learned =
  '▁▁ he in ▁t ▁▁▁▁ er on the ▁the re ▁a at ▁▁▁ aa aaa aaaa ll hell ▁hell ▁hello llo ой при прив привет \u200dx 世界 ▁世界 ' +
  '12 23 123 ▁1 .. ... <0 0x <0x é\u0301 😀😀'

/** Pieces with scores, and a token for each byte. */
export function piecesFields(changes: Fields = {}): Fields {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  )
  const pieces = learned.split(' ')
  const characters = [
    ...new Set(`${pieces.join('')}abcdefghijklmnopqrstuvwxyz ABC,.!?0123456789\n`),
  ]
  const single = characters.filter((character) => !pieces.includes(character) && character !== '世')
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...pieces, ...single, '<|user|>']
  const kinds = tokens.map((token, id) => {
    if (id < 3) return id === 0 ? UNKNOWN : CONTROL
    if (token === '<|user|>') return USER_DEFINED
    return id < 259 ? BYTE : NORMAL
  })
  const scores = tokens.map((_, id) => (id < 259 ? 0 : 259 - id))
  return {
    'general.architecture': string('llama'),
    'tokenizer.ggml.model': string('llama'),
    'tokenizer.ggml.tokens': strings(tokens),
    'tokenizer.ggml.scores': array(scores.map(float32)),
    'tokenizer.ggml.token_type': array(kinds.map(int32)),
    'tokenizer.ggml.bos_token_id': uint32(1),
    'tokenizer.ggml.eos_token_id': uint32(2),
    ...changes,
  }
}

/** All of them, by name. */
export const madeTokenizers: Record<string, () => Fields> = {
  ...Object.fromEntries(
    [
      'default',
      'gpt-2',
      'smollm',
      'llama-bpe',
      'qwen2',
      'deepseek-coder',
      'deepseek-v3',
      'falcon',
      'smaug-bpe',
      'seed-coder',
    ].map((pre) => [pre, () => byteLevelFields(pre)]),
  ),
  'llama-bpe without a token before': () =>
    byteLevelFields('llama-bpe', { 'tokenizer.ggml.add_bos_token': bool(false) }),
  'qwen2 with tokens around': () =>
    byteLevelFields('qwen2', {
      'tokenizer.ggml.add_bos_token': bool(true),
      'tokenizer.ggml.add_eos_token': bool(true),
    }),
  pieces: () => piecesFields(),
  'pieces without a space before': () =>
    piecesFields({ 'tokenizer.ggml.add_space_prefix': bool(false) }),
}

const words = [
  'Hello',
  'world',
  'naïve',
  'café',
  'Straße',
  'ΑΒΓδε',
  'Привет',
  'привет',
  'мир',
  'שלום',
  'مرحبا',
  'नमस्ते',
  'สวัสดี',
  'ខ្មែរ',
  '안녕하세요',
  'こんにちは',
  '世界',
  '中文字符',
  'カタカナ',
  '😀😀',
  '👩‍🚀',
  '🇫🇷',
  '🏽',
  "don't",
  "I'LL",
  "we're",
  "x's",
  "JOHN'S",
  'camelCase',
  'snake_case',
  'HTTPServer',
  'foo(bar);',
  '{"a": [1, 2]}',
  'https://example.com/a?b=c',
  '3.14159',
  '1234567890',
  '٣٤٥',
  '½',
  '²',
  'Ⅷ',
  '1,000,000',
  '$5.00',
  '€',
  '—',
  '…',
  '«»',
  'ﬁ',
  'e\u0301',
  'Ǆ',
  '\u200b',
  '\ufeff',
  '\u00a0',
  '▁',
  '<0x0A>',
  'ŉ',
  'İ',
  'ı',
  'aaaaaa',
  'Việt',
  'ქართული',
  'አማርኛ',
  'தமிழ்',
  '\u0000',
  '\u0085',
  '\u2028',
  '\u3000',
  '\r\n',
  '\n',
  '\n\n\n',
  '\t',
  ' \n ',
  '==',
  '!!!',
  '???',
  ' .',
  ' ,',
  'the hello 123',
]

/** Words of many scripts with emoji, runs of white space, digits and contractions, the same each time. */
export function multilingualText(bytes: number, random: () => number): string {
  const pick = (count: number) => Math.floor(random() * count)
  const gaps = [' ', ' ', ' ', ' ', ' ', '\n', '', '  ']
  let text = ''
  for (let size = 0; size < bytes; ) {
    const gap = pick(10)
    const piece = words[pick(words.length)] + (gaps[gap] ?? ' '.repeat(pick(70)))
    text += piece
    size += Buffer.byteLength(piece)
  }
  return text
}

export async function vocabularyOfFile(file: string): Promise<Vocabulary> {
  const { handle, metadata } = await GgufFile.open(file)
  await handle.close()
  return vocabularyOf(metadata) as Vocabulary
}

export async function openTokenizer(file: string): Promise<Tokenizer> {
  return parseTokenizer(tokenizerJson(await vocabularyOfFile(file)))
}
