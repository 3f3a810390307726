import { rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { synthesize } from '../../dist/bench/models/huggingface.js'
import { Model, Pool } from '../../dist/src/index.js'
import { parseHeader } from '../../dist/src/model/packed/header.js'
import {
  checkHeader,
  dataStart,
  PREAMBLE_BYTES,
  readPreamble,
  writePreamble,
} from '../../dist/src/model/packed/preamble.js'
import { mutatedBytes, mutatedJson } from './mutate.js'
import { FILE, textOf } from './target.js'

/** @type {import('../../dist/bench/models/shapes.js').ModelShape} */
const shape = {
  name: 'small',
  architecture: 'Qwen3ForCausalLM',
  vocabSize: 256,
  hiddenSize: 32,
  intermediateSize: 32,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  maxPositions: 64,
  rmsNormEps: 1e-6,
  ropeTheta: 1e4,
  bosTokenId: 0,
  eosTokenId: 1,
}

const tokenizer = {
  added_tokens: [],
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
  post_processor: null,
  normalizer: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] },
}

const pool = await Pool.create({ threads: 1 })
const folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
const file = join(folder, 'fuzzed.dotpool')
await synthesize(shape, folder, 'w8a8', { seed: 1, bits: 8 })

const models = [
  await packed({ quantize: 'w8a8' }),
  await packed({ quantize: 'w8a8', skip: ['lm_head', 'down_proj'] }),
]
writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
models.push(await packed({ quantize: 'w8a8' }))
const headers = models.map(({ header }) => header)
/** Arrays that any of the headers finds: the longest ones. */
const [{ data }] = models.toSorted((a, b) => b.data.length - a.data.length)

/** @param {import('../../dist/src/index.js').LoadOptions} options */
async function packed(options) {
  const model = await Model.load(pool, folder, options)
  await model.pack(file)
  model.dispose()
  const bytes = await readFile(file)
  rmSync(file)
  const length = readPreamble(file, bytes.subarray(0, PREAMBLE_BYTES), bytes.length)
  return {
    header: JSON.parse(bytes.toString('utf8', PREAMBLE_BYTES, PREAMBLE_BYTES + length)),
    data: bytes.subarray(dataStart(length)),
  }
}

/** A file that its preamble confirms. @param {Uint8Array} header */
function fileOf(header) {
  const bytes = Buffer.alloc(dataStart(header.length) + data.length)
  bytes.set(writePreamble(header, bytes.length))
  bytes.set(header, PREAMBLE_BYTES)
  bytes.set(data, bytes.length - data.length)
  return bytes
}

/** @type {import('./target.js').Target} */
export const packedModel = {
  name: 'packed',
  generate(random) {
    const header = textOf(mutatedJson(random, headers))
    if (random.chance(1 / 8)) return fileOf(mutatedBytes(random, header))
    const bytes = fileOf(header)
    if (random.chance(7 / 8)) return bytes
    // what its checksum does not confirm
    const start = PREAMBLE_BYTES + header.length
    return Buffer.concat([mutatedBytes(random, bytes.subarray(0, start)), bytes.subarray(start)])
  },
  open(bytes) {
    const preamble = bytes.subarray(0, PREAMBLE_BYTES)
    const end = PREAMBLE_BYTES + readPreamble(FILE, preamble, bytes.length)
    const header = bytes.subarray(PREAMBLE_BYTES, end)
    checkHeader(FILE, preamble, header)
    const dataBytes = bytes.length - dataStart(header.length)
    const { config, configJson, ...arrays } = parseHeader(FILE, header, dataBytes)
    for (const [offset, length] of spansIn(arrays)) {
      const lies = offset >= 0 && length >= 0 && offset + length <= dataBytes
      if (!lies) throw new Error(`${length} bytes at ${offset} of ${dataBytes} were accepted`)
    }
    return [() => use(bytes)]
  },
}

/** @param {unknown} value @returns {number[][]} where the arrays lie that are in it */
function spansIn(value) {
  if (value instanceof Map) return [...value.values()].flatMap(spansIn)
  if (typeof value !== 'object' || value === null) return []
  return Array.isArray(value) ? [value] : Object.values(value).flatMap(spansIn)
}

/** @param {Uint8Array} bytes */
async function use(bytes) {
  // a model may still have the file before mapped: it is not written over
  rmSync(file, { force: true })
  writeFileSync(file, bytes)
  const model = await Model.load(pool, file)
  try {
    await model.logits([1, 2, 3])
    // refused where the header names no texts
    for await (const _ of model.generate('abab', { maxTokens: 2 }));
  } finally {
    model.dispose()
  }
}
