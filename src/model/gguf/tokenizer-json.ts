import { FormatError } from '../../errors.js'
import { show } from '../json/fields.js'
import type { Metadata } from './metadata.js'
import { preTokenizer } from './pre-tokenizers.js'
import { sentencePieceMerges } from './sentencepiece-merges.js'
import { type SpecialToken, TokenKind, Vocabulary } from './vocabulary.js'

/**
 * The vocabulary of a file.
 *
 * @returns undefined if it has none
 */
export function vocabularyOf(metadata: Metadata): Vocabulary | undefined {
  const model = metadata.text('tokenizer.ggml.model') ?? 'none'
  return model === 'none' || model === 'no_vocab' ? undefined : new Vocabulary(metadata)
}

/**
 * A tokenizer.json that gives llama.cpp's tokens.
 *
 * @throws FormatError for an unsupported tokenizer, or a broken one
 */
export function tokenizerJson(vocabulary: Vocabulary): object {
  const { metadata } = vocabulary
  const model = metadata.text('tokenizer.ggml.model')
  if (model === 'gpt2') return byteLevel(vocabulary)
  if (model === 'llama') return sentencePiece(vocabulary)
  const problem = `tokenizer.ggml.model ${show(model)} is not supported, only gpt2, llama`
  throw new FormatError(metadata.file, problem)
}

function byteLevel(vocabulary: Vocabulary): object {
  const { metadata } = vocabulary
  const pre = metadata.text('tokenizer.ggml.pre') || 'default'
  const { patterns, ignoreMerges, addsBos } = preTokenizer(metadata.file, pre)
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  const splits = patterns.map((Regex) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  }))
  return {
    ...common(vocabulary),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits, bytes] },
    post_processor: around(
      metadata.boolean('tokenizer.ggml.add_bos_token', addsBos) && required(vocabulary, 'bos'),
      metadata.boolean('tokenizer.ggml.add_eos_token', false) && required(vocabulary, 'eos'),
    ),
    decoder: bytes,
    model: {
      ...bytePairs(vocabulary, mergesOf(metadata)),
      unk_token: null,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
    },
  }
}

function sentencePiece(vocabulary: Vocabulary): object {
  const { metadata } = vocabulary
  const prepends = metadata.boolean('tokenizer.ggml.add_space_prefix', true)
  const space = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const unknown = vocabulary.special('unknown')
  return {
    ...common(vocabulary),
    normalizer: {
      type: 'Sequence',
      normalizers: [...(prepends ? [{ type: 'Prepend', prepend: '▁' }] : []), space],
    },
    pre_tokenizer: null,
    post_processor: around(
      metadata.boolean('tokenizer.ggml.add_bos_token', true) && required(vocabulary, 'bos'),
      metadata.boolean('tokenizer.ggml.add_eos_token', false) && required(vocabulary, 'eos'),
    ),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prepends ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      ...bytePairs(vocabulary, sentencePieceMerges(vocabulary)),
      unk_token: unknown?.token,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
    },
  }
}

function common(vocabulary: Vocabulary): object {
  return { version: '1.0', truncation: null, padding: null, added_tokens: addedTokens(vocabulary) }
}

/** Tokens that are found in the text before any other step. */
function addedTokens(vocabulary: Vocabulary): object[] {
  return vocabulary.tokens.flatMap((content, id) => {
    const kind = vocabulary.kindOf(id)
    const special = kind === TokenKind.control || kind === TokenKind.unknown
    if (!special && kind !== TokenKind.userDefined) return []
    const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false }
    return [{ id, content, special, ...plain }]
  })
}

function bytePairs({ tokens }: Vocabulary, merges: [string, string][]): object {
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]))
  return { type: 'BPE', dropout: null, vocab, merges }
}

/** Merges are written with a space between the two pieces, and pieces cannot begin with one. */
function mergesOf(metadata: Metadata): [string, string][] {
  const key = 'tokenizer.ggml.merges'
  return metadata.texts(key).map((merge) => {
    const space = merge.indexOf(' ', 1)
    if (space > 0) return [merge.slice(0, space), merge.slice(space + 1)]
    throw new FormatError(metadata.file, `${key}: ${show(merge)} is not a pair`)
  })
}

function required(vocabulary: Vocabulary, role: string): SpecialToken {
  const special = vocabulary.special(role)
  if (special !== undefined) return special
  const { file } = vocabulary.metadata
  const problem = `tokenizer.ggml.${role}_token_id is missing, but the file asks to add it to texts`
  throw new FormatError(file, problem)
}

/** Adds tokens around a text. */
function around(bos: SpecialToken | false, eos: SpecialToken | false): object | null {
  const [before, after] = [bos, eos].map((special) => (special === false ? [] : [special]))
  if (before.length + after.length === 0) return null
  const tokensOf = (specials: SpecialToken[], type: number) =>
    specials.map(({ token }) => ({ SpecialToken: { id: token, type_id: type } }))
  const sequence = (name: string, type: number) => [
    ...tokensOf(before, type),
    { Sequence: { id: name, type_id: type } },
    ...tokensOf(after, type),
  ]
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: Object.fromEntries(
      [...before, ...after].map(({ id, token }) => [
        token,
        { id: token, ids: [id], tokens: [token] },
      ]),
    ),
  }
}
