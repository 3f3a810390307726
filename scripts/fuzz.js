// Opens checkpoints and GGUF files that are broken somewhere, and uses what opens: `npm run fuzz -- --minutes 1`.
// Each must give a value or an error of ours, and soon. Prints the seed of each round; --seed begins with that one.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Checkpoint, DotpoolError } from 'dotpool'
import fc from 'fast-check'
import { array, float32, ggufHeader, string, uint32 } from '../dist/bench/models/gguf-header.js'
import { mutatedBytes, mutatedJson } from '../test/support/mutated.js'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } },
})
const ROUND = 2000
const LIMIT_SECONDS = 20

// ---- what is broken ---------------------------------------------------------------------------------

const tensors = {
  'model.embed_tokens.weight': [6, 8],
  'model.norm.weight': [8],
}

const config = {
  architectures: ['Qwen3ForCausalLM'],
  vocab_size: 6,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
  tie_word_embeddings: true,
  eos_token_id: [5],
}

const tokenizer = {
  version: '1.0',
  added_tokens: [{ id: 5, content: '<|end|>', special: true, normalized: false }],
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
    vocab: { a: 0, b: 1, ab: 2, Ġ: 3, aba: 4 },
    merges: ['a b', 'ab a'],
  },
}

const chat = `{%- for message in messages %}{% if loop.first and message.role == 'system' %}
{{- '<|' + message['role'] + '|>' + message.content | trim }}{% else %}{{ message.content[0:3] }}{% endif %}
{%- endfor %}{% set n = namespace(x=1) %}{% if add_generation_prompt %}{{ n.x ~ bos_token }}{% endif %}`
const tokenizerConfig = { bos_token: '<|end|>', chat_template: chat }

/**
 * @param {string} text a JSON text, to go before data
 * @param {number} dataBytes
 */
function withLength(text, dataBytes) {
  const header = Buffer.from(text)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.alloc(dataBytes, 60)])
}

let dataBytes = 0
const header = Object.fromEntries(
  Object.entries(tensors).map(([name, shape]) => {
    const begin = dataBytes
    dataBytes += 4 * shape.reduce((a, b) => a * b)
    return [name, { dtype: 'F32', shape, data_offsets: [begin, dataBytes] }]
  }),
)

/** @param {readonly string[]} texts */
const strings = (texts) => array(texts.map((text) => string(text)))

const gguf = () => {
  const info = { name: 'token_embd.weight', type: 0, dims: [8, 6], bytes: 192 }
  const { header } = ggufHeader(
    [
      ['general.architecture', string('qwen3')],
      ['qwen3.block_count', uint32(1)],
      ['qwen3.context_length', uint32(64)],
      ['qwen3.embedding_length', uint32(8)],
      ['qwen3.feed_forward_length', uint32(8)],
      ['qwen3.attention.head_count', uint32(2)],
      ['qwen3.attention.layer_norm_rms_epsilon', float32(1e-6)],
      ['tokenizer.ggml.model', string('gpt2')],
      ['tokenizer.ggml.pre', string('qwen2')],
      ['tokenizer.ggml.tokens', strings(['a', 'b', 'ab', 'Ġ', 'aba', '<|end|>'])],
      ['tokenizer.ggml.merges', strings(['a b', 'ab a'])],
      ['tokenizer.ggml.eos_token_id', uint32(5)],
      ['tokenizer.chat_template', string(chat)],
    ],
    [info],
  )
  return { bytes: Buffer.concat([header, Buffer.alloc(192, 60)]), upTo: header.length }
}

/** @typedef {Record<string, string | Uint8Array>} Files by name */

/** @type {Files} */
const files = {
  'config.json': JSON.stringify(config),
  'tokenizer.json': JSON.stringify(tokenizer),
  'tokenizer_config.json': JSON.stringify(tokenizerConfig),
  'model.safetensors': withLength(JSON.stringify(header), dataBytes),
}

/** @param {string} name @param {fc.Arbitrary<string | Uint8Array>} content */
const broken = (name, content) => content.map((value) => ({ ...files, [name]: value }))

/** @param {unknown} value */
const text = (value) => JSON.stringify(value)

const pieces = [
  ...chat.split(/(\{[{%].*?[%}]\})/s),
  ...[
    '{% for x in range(3) %}',
    '{{ messages | tojson }}',
    '{{ x.y.z }}',
    '{% macro m(a) %}',
    '{% endmacro %}',
  ],
  ...[
    '{{ raise_exception("no") }}',
    "{{ 'a' * 3 }}",
    '{{ [1, [2]] | join }}',
    '{{ strftime_now("%Y") }}',
    '{{ 1 // 0 }}',
  ],
]
const template = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string()), { maxLength: 8 })

/** @type {fc.Arbitrary<Files>} */
const checkpoints = fc.oneof(
  broken('config.json', mutatedJson(config).map(text)),
  broken('tokenizer.json', mutatedJson(tokenizer).map(text)),
  broken('tokenizer_config.json', mutatedJson(tokenizerConfig).map(text)),
  broken(
    'tokenizer_config.json',
    template.map((parts) => text({ chat_template: parts.join('') })),
  ),
  broken(
    'model.safetensors',
    mutatedJson(header).map((json) => withLength(text(json), dataBytes)),
  ),
  ...Object.entries(files).map(([name, valid]) => broken(name, mutatedBytes(Buffer.from(valid)))),
  fc
    .constant(gguf())
    .chain(({ bytes, upTo }) => mutatedBytes(bytes, { upTo }))
    .map((bytes) => ({ 'x.gguf': bytes })),
)

// ---- what is done with it ---------------------------------------------------------------------------

const folder = mkdtempSync(join(tmpdir(), 'dotpool-fuzz-'))
const messages = [
  { role: /** @type {const} */ ('system'), content: ' Be brief. ' },
  { role: /** @type {const} */ ('user'), content: 'abab <|end|> é' },
]
let opened = 0

/** @param {Checkpoint} checkpoint */
const uses = (checkpoint) => [
  async () => {
    const tokens = await checkpoint.tokenizer?.encode('abab <|end|> É\u0301 😀')
    if (tokens !== undefined) await checkpoint.tokenizer?.decode(tokens)
  },
  async () => void (await checkpoint.chatTemplate.render(messages)),
  ...checkpoint.names.map((name) => async () => {
    await checkpoint.read(name, checkpoint.entry(name).dims)
  }),
]

/** @param {() => Promise<void>} action */
async function givesOurErrors(action) {
  try {
    await action()
  } catch (error) {
    if (!(error instanceof DotpoolError)) throw error
  }
}

/** @param {Files} contents */
async function use(contents) {
  Atomics.add(beats, 0, 1)
  rmSync(folder, { recursive: true })
  mkdirSync(folder)
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), content)
  await givesOurErrors(async () => {
    const checkpoint = await Checkpoint.open('x.gguf' in contents ? join(folder, 'x.gguf') : folder)
    opened++
    try {
      for (const action of uses(checkpoint)) await givesOurErrors(action)
    } finally {
      await checkpoint.close()
    }
  })
}

/* A thread of its own ends the process where one input takes too long; its files are left where they are. */
const beats = new Int32Array(new SharedArrayBuffer(4))
const watch = new Worker(
  `const { workerData: { beats, folder, seconds } } = require('node:worker_threads')
   let before = -1
   setInterval(() => {
     if (Atomics.load(beats, 0) === before) {
       require('node:fs').writeSync(2, 'one input took more than ' + seconds + ' s: ' + folder + '\\n')
       process.kill(process.pid, 'SIGKILL')
     }
     before = Atomics.load(beats, 0)
   }, seconds * 1000)`,
  { eval: true, workerData: { beats, folder, seconds: LIMIT_SECONDS } },
)

const end = Date.now() + Number(values.minutes) * 60_000
let seed = values.seed === undefined ? Date.now() | 0 : Number(values.seed)
try {
  do {
    console.log(`seed ${seed}`)
    const details = await fc.check(fc.asyncProperty(checkpoints, use), {
      seed,
      numRuns: ROUND,
      interruptAfterTimeLimit: Math.max(1, end - Date.now()),
    })
    if (details.failed && !details.interrupted) {
      for (const [name, content] of Object.entries(details.counterexample?.[0] ?? {})) {
        if (content !== files[name]) console.error(`${name}: ${JSON.stringify(String(content))}`)
      }
      console.error(details.errorInstance)
      process.exitCode = 1
      break
    }
    seed = (seed + 1) | 0
  } while (Date.now() < end)
  console.log(`${Atomics.load(beats, 0)} inputs, ${opened} of them opened`)
} finally {
  await watch.terminate()
  rmSync(folder, { recursive: true, force: true })
}
