import { join } from 'node:path'
import { Checkpoint } from '#src/model/checkpoint/checkpoint.js'
import { readJson } from './support.js'

/*
 * A decoder of the Llama family in float64, written from its papers without the package's own arithmetic:
 * https://arxiv.org/abs/2302.13971, grouped heads https://arxiv.org/abs/2305.13245, a window
 * https://arxiv.org/abs/2310.06825. It uses biases, norms of q and k, and a head if the file has them.
 */

export interface PlainOptions {
  /** RoPE frequencies, radians per position, one for each pair of a head's elements. */
  frequencies: Float64Array
  /** For each layer how many tokens a token attends to, itself included; all where undefined. */
  windows?: (number | undefined)[]
}

type Row = Float64Array

/** theta^(-2i/D) */
export function plainFrequencies(headDim: number, theta: number): Float64Array {
  return Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim))
}

/** The logits of every token, [M, vocabSize]. */
export async function plainLogits(
  folder: string,
  ids: readonly number[],
  options: PlainOptions,
): Promise<Float64Array> {
  const config = readJson(join(folder, 'config.json'))
  const tensors = await readTensors(folder)
  const name = config.tie_word_embeddings ? 'model.embed_tokens.weight' : 'lm_head.weight'
  const head = tensors.get(name) as Row
  return concat(plainStates(config, tensors, ids, options).map((x) => multiply(head, x)))
}

/** The hidden state of the last token, behind the final norm, [hiddenSize]. */
export async function plainState(
  folder: string,
  ids: readonly number[],
  options: PlainOptions,
): Promise<Float64Array> {
  const config = readJson(join(folder, 'config.json'))
  return plainStates(config, await readTensors(folder), ids, options).at(-1) as Row
}

/** The hidden states of all tokens, behind the final norm. */
function plainStates(
  // biome-ignore lint/suspicious/noExplicitAny: config.json as it is
  config: any,
  tensors: ReadonlyMap<string, Row>,
  ids: readonly number[],
  { frequencies, windows = [] }: PlainOptions,
): Row[] {
  const heads: number = config.num_attention_heads
  const eps: number = config.rms_norm_eps
  const linear = (name: string, x: Row) =>
    multiply(tensors.get(`${name}.weight`) as Row, x, tensors.get(`${name}.bias`))
  const norm = (name: string, x: Row) => rmsNorm(x, tensors.get(`${name}.weight`) as Row, eps)

  const embedding = tensors.get('model.embed_tokens.weight') as Row
  const width: number = config.hidden_size
  const rows = ids.map((id) => embedding.slice(id * width, (id + 1) * width))
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const attention = `model.layers.${i}.self_attn`
    const mlp = `model.layers.${i}.mlp`
    /** The heads of q, k or v; q and k are normalised, where there is a norm, and rotated. */
    const project = (part: 'q' | 'k' | 'v', x: Row, position: number) => {
      const heads = split(linear(`${attention}.${part}_proj`, x), 2 * frequencies.length)
      if (part === 'v') return heads
      const weight = tensors.get(`${attention}.${part}_norm.weight`)
      const normed = weight === undefined ? heads : heads.map((head) => rmsNorm(head, weight, eps))
      return normed.map((head) => rotate(head, position, frequencies))
    }
    const projected = rows.map((x, position) => {
      const input = norm(`model.layers.${i}.input_layernorm`, x)
      const of = (part: 'q' | 'k' | 'v') => project(part, input, position)
      return { q: of('q'), k: of('k'), v: of('v') }
    })
    for (const [position, x] of rows.entries()) {
      const from = Math.max(0, position + 1 - (windows[i] ?? Infinity))
      const seen = projected.slice(from, position + 1)
      const attended = projected[position].q.map((q, h) => {
        const group = Math.floor((h * seen[0].k.length) / heads)
        return attend(
          q,
          seen.map(({ k }) => k[group]),
          seen.map(({ v }) => v[group]),
        )
      })
      add(x, linear(`${attention}.o_proj`, concat(attended)))
      const input = norm(`model.layers.${i}.post_attention_layernorm`, x)
      const gate = linear(`${mlp}.gate_proj`, input)
      const up = linear(`${mlp}.up_proj`, input)
      const gated = gate.map((g, j) => (g / (1 + Math.exp(-g))) * up[j])
      add(x, linear(`${mlp}.down_proj`, gated))
    }
  }
  return rows.map((x) => norm('model.norm', x))
}

async function readTensors(folder: string): Promise<Map<string, Row>> {
  await using checkpoint = await Checkpoint.open(folder)
  const tensors = new Map<string, Row>()
  for (const name of checkpoint.names) {
    const floats = await checkpoint.readFloat(name, checkpoint.entry(name).dims)
    tensors.set(name, Float64Array.from(floats))
  }
  return tensors
}

/** W x (+ bias) */
function multiply(weight: Row, x: Row, bias?: Row): Row {
  const K = x.length
  return new Float64Array(weight.length / K).map((_, n) => {
    let sum = bias?.[n] ?? 0
    for (let k = 0; k < K; k++) sum += weight[n * K + k] * x[k]
    return sum
  })
}

function rmsNorm(x: Row, weight: Row, eps: number): Row {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length
  return x.map((value, i) => (value / Math.sqrt(meanSquare + eps)) * weight[i])
}

/** Rotates element i with i + D/2. */
function rotate(head: Row, position: number, frequencies: Row): Row {
  const half = frequencies.length
  const y = new Float64Array(2 * half)
  for (let i = 0; i < half; i++) {
    const [c, s] = [Math.cos(position * frequencies[i]), Math.sin(position * frequencies[i])]
    y[i] = head[i] * c - head[i + half] * s
    y[i + half] = head[i + half] * c + head[i] * s
  }
  return y
}

/** softmax(q K^T / sqrt(D)) V */
function attend(q: Row, keys: readonly Row[], values: readonly Row[]): Row {
  const scores = keys.map((key) => dot(q, key) / Math.sqrt(q.length))
  const most = Math.max(...scores)
  const weights = scores.map((score) => Math.exp(score - most))
  const total = weights.reduce((a, b) => a + b)
  return q.map((_, i) => weights.reduce((sum, w, s) => sum + w * values[s][i], 0) / total)
}

function dot(a: Row, b: Row): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0)
}

function add(x: Row, delta: Row): void {
  for (let i = 0; i < x.length; i++) x[i] += delta[i]
}

function split(x: Row, size: number): Row[] {
  return Array.from({ length: x.length / size }, (_, i) => x.slice(i * size, (i + 1) * size))
}

function concat(parts: readonly Row[]): Row {
  return Float64Array.from(parts.flatMap((part) => [...part]))
}
