import { drawJson } from './target.js'
import { useTextFiles } from './texts.js'

const added = (/** @type {number} */ id, /** @type {string} */ content) => ({
  id,
  content,
  special: true,
  normalized: false,
  lstrip: false,
  rstrip: false,
})

const qwen = {
  version: '1.0',
  added_tokens: [added(5, '<|end|>')],
  normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '\\s+|\\w+' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false },
  decoder: { type: 'ByteLevel' },
  model: {
    type: 'BPE',
    unk_token: null,
    byte_fallback: false,
    ignore_merges: false,
    vocab: { a: 0, b: 1, ab: 2, Ġ: 3, aba: 4 },
    merges: ['a b', 'ab a'],
  },
}

const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false }
const llama = {
  added_tokens: [added(0, '<unk>'), added(1, '<s>')],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: { '<unk>': 0, '<s>': 1, '<0x61>': 2, '▁': 3, h: 4, e: 5, y: 6, he: 7, hey: 8 },
    merges: [
      ['h', 'e'],
      ['he', 'y'],
    ],
  },
}

const tokenizers = [
  qwen,
  llama,
  { ...llama, normalizer: null, pre_tokenizer: metaspace, decoder: metaspace },
]

/** @type {import('./target.js').Target} */
export const tokenizer = {
  name: 'tokenizer',
  generate: drawJson(tokenizers),
  open: (bytes) => useTextFiles({ tokenizer: bytes }),
}
