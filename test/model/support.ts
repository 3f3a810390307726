import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { FormatError } from '#src/errors.js'
import type { GenerateTokensOptions } from '#src/model/generation/generate.js'
import { seededRandom } from '#src/model/generation/random.js'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import type { Pool } from '#src/pool/pool.js'
import { expectSameBits } from '../support/reference.js'
import { shallowFixture } from '../support/shallow-fixture.js'

/** The checkpoint that comes with the project, W8A8. */
export const fixture = fileURLToPath(
  new URL('../../fixtures/qwen3-shakespeare-w8a8', import.meta.url),
)

/** Checkpoints beside the project, if present; tests skip where they are missing. */
const shared = fileURLToPath(new URL('../../../shared/data', import.meta.url))
export const qwen3 = join(shared, 'qwen3-shakespeare')
export const stories = join(shared, 'stories260k')
export const hasShared = existsSync(shared)
export const skipNote = hasShared ? '' : ' (skipped: no ../shared/data)'

export interface Prompt {
  text: string
  promptIds: number[]
  greedyIds: number[]
  completion: string
  /** The margin of each greedy token's logit over the next best. */
  margins: number[]
}

/** The greedy texts of the Qwen3 reference. */
export function qwen3Prompts(): Prompt[] {
  return readJson(join(fixture, 'golden.json')).prompts.map((prompt: Record<string, never>) => ({
    text: prompt.text,
    promptIds: prompt.prompt_ids,
    greedyIds: prompt.greedy_ids,
    completion: prompt.completion,
    margins: prompt.margins,
  }))
}

/** The greedy texts of the Llama reference. */
export function storiesPrompts(): Omit<Prompt, 'completion'>[] {
  const { greedy } = readJson(join(stories, 'golden/golden.json'))
  return greedy.map((prompt: Record<string, never>) => ({
    text: prompt.prompt,
    promptIds: prompt.prompt_ids,
    greedyIds: prompt.new_ids,
    margins: prompt.margins,
  }))
}

// biome-ignore lint/suspicious/noExplicitAny: golden files are read as they are
export function readJson(file: string): any {
  return JSON.parse(readFileSync(file, 'utf8'))
}

export function readFloats(file: string): Float32Array {
  return new Float32Array(Uint8Array.from(readFileSync(file)).buffer)
}

export function readIds(file: string): Uint16Array {
  return new Uint16Array(Uint8Array.from(readFileSync(file)).buffer)
}

/** Collects all values of an async iterable. */
export async function collect<T>(generator: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of generator) all.push(value)
  return all
}

/** |a - b| / |b| in the Euclidean norm. */
export function relativeError(
  a: Float32Array | Float64Array,
  b: Float32Array | Float64Array,
): number {
  expect(a.length).toBe(b.length)
  let difference = 0
  let norm = 0
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2
    norm += b[i] ** 2
  }
  return Math.sqrt(difference / norm)
}

export function largestDifference(
  a: Float32Array | Float64Array,
  b: Float32Array | Float64Array,
): number {
  expect(a.length).toBe(b.length)
  let largest = 0
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]))
  return largest
}

/** A temporary folder that is removed when the test ends. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'dotpool-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

export interface StoredTensor {
  dtype: string
  shape: number[]
  data: Uint8Array
}

/** Builds a safetensors file of these tensors. */
export function safetensors(tensors: Record<string, StoredTensor>): Uint8Array {
  let end = 0
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
      const begin = end
      end += data.byteLength
      return [name, { dtype, shape, data_offsets: [begin, end] }]
    }),
  )
  return withHeader(JSON.stringify(header), ...Object.values(tensors).map(({ data }) => data))
}

/** Builds a file that begins as safetensors files do, with any header. */
export function withHeader(header: string, ...data: Uint8Array[]): Uint8Array {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.byteLength))
  return Buffer.concat([length, text, ...data])
}

export function f32(shape: number[], values: ArrayLike<number>): StoredTensor {
  return { dtype: 'F32', shape, data: new Uint8Array(Float32Array.from(values).buffer) }
}

/** A float32 tensor of this shape with numbers in [-1, 1). */
export function randomF32(shape: number[], seed: number): StoredTensor {
  const random = seededRandom(seed)
  const size = shape.reduce((a, b) => a * b, 1)
  return f32(
    shape,
    Array.from({ length: size }, () => random() * 2 - 1),
  )
}

export const tinyConfig = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: 2048,
  hidden_size: 12,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: true,
  eos_token_id: 0,
}

/** Random weights for `tinyConfig`, in float32. */
export function tinyTensors(): Record<string, StoredTensor> {
  const tensors: Record<string, StoredTensor> = {
    'model.embed_tokens.weight': randomF32([2048, 12], 1),
    'model.norm.weight': randomF32([12], 2),
  }
  for (const i of [0, 1]) {
    const shapes: Record<string, number[]> = {
      input_layernorm: [12],
      'self_attn.q_proj': [24, 12],
      'self_attn.k_proj': [12, 12],
      'self_attn.v_proj': [12, 12],
      'self_attn.o_proj': [12, 24],
      post_attention_layernorm: [12],
      'mlp.gate_proj': [20, 12],
      'mlp.up_proj': [20, 12],
      'mlp.down_proj': [12, 20],
    }
    for (const [j, [name, shape]] of Object.entries(shapes).entries()) {
      tensors[`model.layers.${i}.${name}.weight`] = randomF32(shape, 100 * i + j)
    }
  }
  return tensors
}

/** Writes a checkpoint without a tokenizer: reading one starts a thread, which takes longer than most tests. */
export async function writeCheckpoint(
  folder: string,
  config: object = tinyConfig,
  tensors: Record<string, StoredTensor> = tinyTensors(),
): Promise<void> {
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'model.safetensors'), safetensors(tensors))
}

/** Gives a checkpoint the fixture's tokenizer. */
export async function writeTokenizer(folder: string): Promise<void> {
  await cp(join(fixture, 'tokenizer.json'), join(folder, 'tokenizer.json'))
}

/** Expects a call to reject with a FormatError whose message matches. */
export async function expectFormatError(call: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await call.then(
    () => undefined,
    (reason: FormatError) => reason,
  )
  expect(error?.name).toBe('FormatError')
  expect(error?.message).toMatch(message)
}

/** Loads a checkpoint made up by the test. */
export async function loadMade(
  pool: Pool,
  config: object = tinyConfig,
  tensors: Record<string, StoredTensor> = tinyTensors(),
  options: LoadOptions = {},
): Promise<Model> {
  await using folder = await temporaryFolder()
  await writeCheckpoint(folder.path, config, tensors)
  return await Model.load(pool, folder.path, options)
}

/** Loads the fixture without its tokenizer, for tests of tokens. */
export function loadFixture(pool: Pool, options: LoadOptions = {}): Promise<Model> {
  return loadTokenless(pool, fixture, options)
}

/** Loads the first two layers of the fixture, without its tokenizer. */
export function loadShallow(pool: Pool, options: LoadOptions = {}): Promise<Model> {
  return loadTokenless(pool, shallowFixture(), options)
}

async function loadTokenless(pool: Pool, from: string, options: LoadOptions): Promise<Model> {
  await using folder = await temporaryFolder()
  for (const file of ['config.json', 'model.safetensors']) {
    await symlink(join(from, file), join(folder.path, file))
  }
  return await Model.load(pool, folder.path, options)
}

/** The logits of every token, float32 [M, vocabSize]. */
export async function logitsOf(model: Model, ids: ArrayLike<number>): Promise<Float32Array> {
  return (await model.logits(ids)).data
}

/** The logits that predict each of `greedyIds`, when those tokens themselves are fed. */
export async function teacherForced(
  model: Model,
  { promptIds, greedyIds }: Pick<Prompt, 'promptIds' | 'greedyIds'>,
): Promise<Float32Array> {
  const logits = await logitsOf(model, [...promptIds, ...greedyIds.slice(0, -1)])
  return logits.subarray((promptIds.length - 1) * model.config.vocabSize)
}

export interface Trace {
  ids: number[]
  /** The logits that each of `ids` was chosen from. */
  logits: Float32Array[]
}

/** Generates, and keeps the logits of every step. */
export async function trace(
  model: Model,
  prompt: ArrayLike<number>,
  options: GenerateTokensOptions = {},
): Promise<Trace> {
  const logits: Float32Array[] = []
  const keep = (row: Float32Array) => {
    logits.push(row.slice())
  }
  const processors = [keep, ...(options.processors ?? [])]
  const ids = await collect(
    model.generateTokens(prompt, { ignoreEnd: true, ...options, processors }),
  )
  return { ids, logits }
}

/** Expects a trace's logits to equal those of its tokens in one batch, by a model with an empty prefix cache. */
export async function expectSameLogits(
  model: Model,
  prompt: ArrayLike<number>,
  { ids, logits }: Trace,
): Promise<void> {
  const all = [...Array.from(prompt), ...ids.slice(0, -1)]
  const expected = await logitsOf(model, all)
  const { vocabSize } = model.config
  for (const [i, row] of logits.entries()) {
    const at = (prompt.length - 1 + i) * vocabSize
    expectSameBits(row, expected.subarray(at, at + vocabSize), `id ${i}:`)
  }
}
