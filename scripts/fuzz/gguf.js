import { array, float32, ggufHeader, string, uint32 } from '../../dist/bench/models/gguf-header.js'
import { FormatError } from '../../dist/src/errors.js'
import { parseConfig } from '../../dist/src/model/config/config.js'
import { architectureOf, configJson, headDimOf } from '../../dist/src/model/gguf/config-json.js'
import { documentsOf } from '../../dist/src/model/gguf/documents.js'
import { GgufTensors } from '../../dist/src/model/gguf/gguf-tensors.js'
import { parseHeader } from '../../dist/src/model/gguf/header.js'
import { mutatedBytes, mutatedJson } from './mutate.js'
import { FILE } from './target.js'
import { useTexts } from './texts.js'

const DATA_BYTES = 4096

/** The format's number of the type. */
const BOOL = 7

/** Fields by key, and tensors as name, type and dims; sizes follow from them. */
const qwen = {
  fields: {
    'general.architecture': 'qwen3',
    'general.alignment': 32,
    'qwen3.block_count': 1,
    'qwen3.context_length': 64,
    'qwen3.embedding_length': 8,
    'qwen3.feed_forward_length': 8,
    'qwen3.attention.head_count': 2,
    'qwen3.attention.head_count_kv': [1, 1],
    'qwen3.attention.layer_norm_rms_epsilon': 1e-6,
    'qwen3.rope.freq_base': 10000.5,
    'qwen3.rope.scaling.type': 'yarn',
    'qwen3.rope.scaling.factor': 2,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'qwen2',
    'tokenizer.ggml.tokens': ['a', 'b', 'ab', 'Ġ', 'aba', '<|end|>'],
    'tokenizer.ggml.token_type': [1, 1, 1, 1, 1, 3],
    'tokenizer.ggml.merges': ['a b', 'ab a'],
    'tokenizer.ggml.eos_token_id': 5,
    'tokenizer.chat_template': '{% for m in messages %}{{ m.content }}{% endfor %}',
  },
  tensors: [
    ['token_embd.weight', 0, [8, 6]],
    ['blk.0.attn_q.weight', 8, [32, 4]],
    ['blk.0.ffn_up.weight', 14, [256, 1]],
  ],
}

const llama = {
  fields: {
    'general.architecture': 'llama',
    'llama.block_count': 1,
    'llama.context_length': 64,
    'llama.embedding_length': 8,
    'llama.feed_forward_length': 8,
    'llama.attention.head_count': 2,
    'llama.attention.layer_norm_rms_epsilon': 1e-6,
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '<0x61>', '▁', 'h', 'e', 'he'],
    'tokenizer.ggml.scores': [0.5, 0.5, 0.5, 0.5, -1.5, -2.5, -3.5, -0.5],
    'tokenizer.ggml.token_type': [2, 3, 3, 6, 1, 1, 1, 1],
    'tokenizer.ggml.add_bos_token': true,
  },
  tensors: [
    ['token_embd.weight', 2, [32, 8]],
    ['blk.0.attn_q.weight', 12, [256, 4]],
    ['output.weight', 30, [8, 6]],
  ],
}

const files = [qwen, llama].flatMap((file) =>
  // every existing type
  [1, 3, 6, 7, 10, 11, 13, 20, 23].map((type) => ({
    ...file,
    tensors: [...file.tensors, ['blk.0.ffn_down.weight', type, [256, 1]]],
  })),
)

/** @param {unknown} value @returns {import('../../dist/bench/models/gguf-header.js').Value} */
function fieldValue(value) {
  if (Array.isArray(value) && value.length > 0) {
    const first = fieldValue(value[0])
    return array(value.map(fieldValue).map((one) => (one.type === first.type ? one : first)))
  }
  if (typeof value === 'boolean') return { type: BOOL, bytes: Buffer.from([Number(value)]) }
  if (typeof value !== 'number') return string(text(value))
  return Number.isInteger(value) && value >= 0 ? uint32(value % 2 ** 32) : float32(value)
}

/** @param {unknown} value */
const natural = (value) => (typeof value === 'number' ? value >>> 0 : 0)

/** @param {unknown} value a mutated one, whose own toString may be no function */
const text = (value) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))

const blockBytes = new Map([
  [0, [1, 4]],
  [1, [1, 2]],
  [2, [32, 18]],
  [3, [32, 20]],
  [6, [32, 22]],
  [7, [32, 24]],
  [8, [32, 34]],
  [10, [256, 84]],
  [11, [256, 110]],
  [12, [256, 144]],
  [13, [256, 176]],
  [14, [256, 210]],
  [20, [32, 18]],
  [23, [256, 136]],
  [30, [1, 2]],
])

/** @param {any} file */
function encoded(file) {
  const fields = Object.entries(file?.fields ?? {}).map(([key, value]) => [key, fieldValue(value)])
  const tensors = [file?.tensors]
    .flat(1)
    .filter(Array.isArray)
    .map(([name, type, shape]) => {
      const dims = [shape].flat(1).map(natural)
      const [size, bytes] = blockBytes.get(type) ?? [1, 4]
      const elements = dims.reduce((product, dim) => product * dim, 1)
      return {
        name: text(name),
        type: natural(type),
        dims,
        // a file's offsets have 64 bits
        bytes: Math.min(Math.ceil(elements / size) * bytes, Number.MAX_SAFE_INTEGER),
      }
    })
  const data = Buffer.alloc(DATA_BYTES)
  for (let i = 0; i < DATA_BYTES; i++) data[i] = (i * 37) ^ (i >> 3)
  return Buffer.concat([ggufHeader(/** @type {any} */ (fields), tensors).header, data])
}

/** @type {import('./target.js').Target} */
export const gguf = {
  name: 'gguf',
  generate(random) {
    const bytes = encoded(mutatedJson(random, files))
    if (!random.chance(1 / 4)) return bytes
    const headBytes = bytes.length - DATA_BYTES
    const head = mutatedBytes(random, bytes.subarray(0, headBytes))
    return Buffer.concat([head, bytes.subarray(headBytes)])
  },
  open(bytes) {
    const header = parseHeader(FILE, bytes, bytes.length)
    if (typeof header === 'number') throw new FormatError(FILE, 'truncated')
    const { metadata, tensors } = header
    const headDim = headDimOf(metadata)
    parseConfig(FILE, configJson(metadata, tensors, undefined))
    const paired = architectureOf(metadata) === 'llama' ? headDim : undefined
    const handle = handleOf(bytes)
    const opened = new GgufTensors(/** @type {any} */ ({ file: FILE, handle, tensors }), paired)
    const { tokenizer, tokenizerConfig, eosTokenIds } = documentsOf(metadata)
    const files = { tokenizerFile: FILE, configFile: FILE, templateFile: FILE }
    const documents = {
      tokenizer,
      config: tokenizerConfig,
      template: undefined,
      ...files,
      eosTokenIds,
    }
    return [
      ...useTexts(documents),
      ...[...opened.entries.keys()].map((name) => () => opened.read(name)),
    ]
  },
}

/** A file in memory. @param {Uint8Array} bytes */
function handleOf(bytes) {
  return {
    async read(
      /** @type {Uint8Array} */ into,
      /** @type {number} */ offset,
      /** @type {number} */ length,
      /** @type {number} */ position,
    ) {
      const part = bytes.subarray(position, position + length)
      into.set(part, offset)
      return { bytesRead: part.byteLength }
    },
  }
}
