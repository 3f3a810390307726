/*
 * A small tokenizer.json of each kind that checkpoints use. Each knows every byte, a few merges, and the special tokens
 * of its family.
 */

/** A token that is found in the text before any other step. */
function added(id: number, content: string, special = true) {
  return { id, content, special, normalized: false, lstrip: false, rstrip: false }
}

/** Numbers tokens from `first`. */
function numbered(tokens: readonly string[], first = 0): Record<string, number> {
  return Object.fromEntries(tokens.map((token, i) => [token, first + i]))
}

/** Puts `token` before a text. */
function beginsWith(token: string, id: number) {
  return {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  }
}

/** The characters of GPT-2's alphabet: the printable ones, then one for each other byte. */
const alphabet = (() => {
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  const bytes = Array.from({ length: 256 }, (_, byte) => byte)
  const others = bytes.filter((byte) => !printable(byte)).map((_, i) => 0x100 + i)
  return [...bytes.filter(printable), ...others].map((code) => String.fromCharCode(code))
})()

const byteLevelMerges = ['h e', 'he y', 'Ġ hey', 'ð Ł', 'ðŁ ĺ', 'Ì ģ']
const byteLevelVocab = numbered([...alphabet, ...byteLevelMerges.map((m) => m.replace(' ', ''))])
const byteLevelSize = Object.keys(byteLevelVocab).length

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true }
const splitting = (regex: string) => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
    { ...byteLevel, use_regex: false },
  ],
})

/** Llama 3: a text begins with a special token; whole words in the vocabulary need no merges. */
export const llama3 = {
  added_tokens: [added(byteLevelSize, '<|begin_of_text|>'), added(byteLevelSize + 1, '<|eot_id|>')],
  normalizer: null,
  pre_tokenizer: splitting(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ),
  post_processor: {
    type: 'Sequence',
    processors: [byteLevel, beginsWith('<|begin_of_text|>', byteLevelSize)],
  },
  decoder: byteLevel,
  model: {
    type: 'BPE',
    vocab: byteLevelVocab,
    merges: byteLevelMerges.slice(1), // "he" is a word without a merge
    ignore_merges: true,
    byte_fallback: false,
  },
}

/** Qwen 2 and 3: text is normalised, no token is added around it, some added tokens are plain text. */
export const qwen = {
  ...llama3,
  added_tokens: [
    added(byteLevelSize, '<|im_start|>'),
    added(byteLevelSize + 1, '<|im_end|>'),
    added(byteLevelSize + 2, '<think>', false),
  ],
  normalizer: { type: 'NFC' },
  pre_tokenizer: splitting(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ),
  post_processor: byteLevel,
  decoder: { type: 'Sequence', decoders: [byteLevel] },
  model: { ...llama3.model, merges: byteLevelMerges, ignore_merges: false },
}

const byteTokens = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
)
const pieceMerges = ['h e', 'he y', '▁ hey', '▁ ▁']
const pieces = ['▁', 'h', 'e', 'y', 'i', 'é', '!', ...pieceMerges.map((m) => m.replace(' ', ''))]
const pieceTokens = ['<unk>', '<s>', '</s>', ...byteTokens, ...pieces]

/** Llama 2 and older Mistral: SentencePiece's pieces, and bytes for what the pieces do not spell. */
export const llama2 = {
  added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: beginsWith('<s>', 1),
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
    vocab: numbered(pieceTokens),
    merges: pieceMerges,
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
  },
}

/** The same pieces with a Metaspace pre-tokenizer and decoder, which know no bytes. */
export const metaspace = {
  ...llama2,
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
  model: { ...llama2.model, byte_fallback: false },
}
