import { randomFillSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Checkpoint, Model, type Pool } from '../../src/index.js'
import { type Summary, summarize } from '../../src/measure/samples.js'
import { safetensorsBytes } from '../../src/model/checkpoint/safetensors-writer.js'
import type { TensorSource } from '../../src/model/checkpoint/tensor-source.js'
import { parseConfig } from '../../src/model/config/config.js'
import { linearSpecs, normSizes } from '../../src/model/config/parameters.js'
import { randomTokenizer } from '../models/random-tokenizer.js'
import type { Line, Suite } from '../suite.js'
import { delays } from './event-loop.js'

/** The vocabulary size of Qwen3. */
const VOCABULARY = 151_936
const TEXT_BYTES = 1e6
const TOKENS = 64

/** Most of the context. */
const PROMPT_TOKENS = 1900

const config = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: VOCABULARY,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 8,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
}

export const stalls: Suite = {
  name: 'stalls',
  title: `how late timers come while a model of ${VOCABULARY} tokens is loaded and used, and tokens beside a long prompt`,
  async *run({ pool }) {
    const folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
    try {
      await writeModel(folder)
      yield* measure(pool, folder)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function* measure(pool: Pool, folder: string): AsyncGenerator<Line> {
  const line = async (name: string, work: () => Promise<unknown>): Promise<Line> => {
    const measured = await delays(work)
    return { name, unit: 'us', measured }
  }
  {
    await using checkpoint = await Checkpoint.open(folder)
    const { tokenizer } = checkpoint
    const text = tokenizer?.decode(randomFillSync(new Uint16Array(TEXT_BYTES / 2))) ?? ''
    const part = text.slice(0, TEXT_BYTES)
    yield await line('tokenise 1 MB', async () => tokenizer?.encodeAsync(part))
  }
  for (const quantize of ['none', 'w8a8'] as const) {
    let model: Model | undefined
    yield await line(`load, ${quantize}`, async () => {
      model = await Model.load(pool, folder, { quantize })
    })
    const options = { maxTokens: TOKENS, ignoreEnd: true }
    yield await line(`generate ${TOKENS} tokens, ${quantize}`, async () => {
      for await (const _ of model?.generate('Once', options) ?? []);
    })
    if (model !== undefined) yield* besidePrefill(model, quantize)
    model?.dispose()
  }
}

/** How long a request that decodes waits for each token, alone and while a long prompt of another is computed. */
async function* besidePrefill(model: Model, quantize: string): AsyncGenerator<Line> {
  const prompt = randomFillSync(new Uint16Array(PROMPT_TOKENS))
  const alone = await gaps(model, () => setTimeout(1000))
  yield { name: `a token, ${quantize}`, unit: 'us', measured: alone }
  const prefill = model.generateTokens(prompt, { maxTokens: 1, ignoreEnd: true })
  const beside = await gaps(model, () => prefill.next())
  yield {
    name: `a token beside a prompt of ${PROMPT_TOKENS}, ${quantize}`,
    unit: 'us',
    measured: beside,
  }
}

/** The time from each token of a request to its next one while `work` is done. */
async function gaps(model: Model, work: () => Promise<unknown>): Promise<Summary> {
  const micros: number[] = []
  const decoding = model.generateTokens([1], { maxTokens: 1e6, ignoreEnd: true })
  await decoding.next()
  let isDone = false
  const done = work().finally(() => {
    isDone = true
  })
  for (let last = performance.now(); !isDone; ) {
    await decoding.next()
    const now = performance.now()
    micros.push((now - last) * 1000)
    last = now
  }
  await decoding.return()
  await done
  return summarize(micros)
}

/** A float model of random weights. */
async function writeModel(folder: string): Promise<void> {
  const parsed = parseConfig('config.json', config)
  const sizes = new Map<string, number[]>([['model.embed_tokens.weight', [VOCABULARY, 576]]])
  for (const [name, size] of normSizes(parsed)) sizes.set(`${name}.weight`, [size])
  for (const { weight, outFeatures, inFeatures } of linearSpecs(parsed).values()) {
    sizes.set(weight, [outFeatures, inFeatures])
  }
  const tensors = Array.from(sizes, ([name, dims]) => randomTensor(name, dims))
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(randomTokenizer(VOCABULARY)))
  const bytes = safetensorsBytes(tensors, { signal: undefined, count: () => {} })
  await writeFile(join(folder, 'model.safetensors'), bytes)
}

/** bfloat16 values in (-0.02, 0.02), each row with random signs and fractions. */
function randomTensor(name: string, dims: readonly number[]): TensorSource {
  const columns = dims[dims.length - 1]
  const rows = dims.length === 1 ? 1 : dims[0]
  function* chunks() {
    const bits = new Uint16Array(columns)
    for (let row = 0; row < rows; row++) {
      randomFillSync(bits)
      for (let i = 0; i < columns; i++) bits[i] = (bits[i] & 0x807f) | 0x3c80
      yield new Uint8Array(bits.buffer)
    }
  }
  return { name, dtype: 'BF16', dims, chunks }
}
