import { attend } from './attention.js'
import type { ModelConfig } from './config.js'
import type { KvCache, LayerCache } from './kv-cache.js'
import { HEAD } from './parameters.js'
import type { Projection } from './projection.js'
import { rmsNorm } from './rms-norm.js'
import { type Rotation, ropeFrequencies, rotate, rotationAt } from './rope.js'
import { swiglu } from './swiglu.js'
import { now, Timing } from './timing.js'

/*
 * The Qwen3 and Llama decoders, which differ in the norms of q and k only. M is the number of ids that
 * go through at once, H the hidden size; every activation is float32 [M, ...], row-major.
 *
 *   x = embedding[ids]
 *   each layer:  x += attention(norm(x)),  x += mlp(norm(x))
 *   logits = head(norm(x))
 */
export class Decoder {
  readonly config: ModelConfig
  /** float32 [vocabSize, H] */
  readonly embedding: Float32Array
  /** By name, as in `normSizes`. */
  readonly norms: ReadonlyMap<string, Float32Array>
  /** By name, as in `linearSpecs`. Whoever replaces one disposes of the old one. */
  readonly projections: Map<string, Projection>
  /** Of RoPE, radians per position. */
  readonly frequencies: Float32Array
  readonly timing = new Timing()

  constructor(
    config: ModelConfig,
    embedding: Float32Array,
    norms: ReadonlyMap<string, Float32Array>,
    projections: Map<string, Projection>,
  ) {
    this.config = config
    this.embedding = embedding
    this.norms = norms
    this.projections = projections
    this.frequencies = ropeFrequencies(config.headDim, config.ropeTheta)
  }

  /**
   * Runs ids through the network, behind those that the cache holds. If it fails, the cache holds
   * what it held before.
   *
   * @param ids M valid ids, for which the cache has room
   * @param allRows logits of every id rather than of the last one only
   * @returns float32 [M or 1, vocabSize]
   */
  async forward(
    ids: ArrayLike<number>,
    cache: KvCache,
    allRows: boolean,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const started = now()
    const start = cache.length
    const rotation = rotationAt(this.frequencies, start, ids.length)
    const x = this.#embed(ids)
    for (const [i, layer] of cache.layers.entries()) {
      const name = `model.layers.${i}`
      const a = this.#norm(`${name}.input_layernorm`, x)
      add(x, await this.#attention(`${name}.self_attn`, a, layer, start, rotation, signal))
      const b = this.#norm(`${name}.post_attention_layernorm`, x)
      add(x, await this.#mlp(`${name}.mlp`, b, signal))
    }
    const rows = allRows ? x : x.subarray(x.length - this.config.hiddenSize)
    const [logits] = await this.#project([HEAD], this.#norm('model.norm', rows), signal)
    cache.length = start + ids.length
    this.timing.addForward(ids.length, now() - started)
    return logits
  }

  #embed(ids: ArrayLike<number>): Float32Array {
    const H = this.config.hiddenSize
    const x = new Float32Array(ids.length * H)
    for (let m = 0; m < ids.length; m++) {
      x.set(this.embedding.subarray(ids[m] * H, (ids[m] + 1) * H), m * H)
    }
    return x
  }

  async #attention(
    name: string,
    x: Float32Array,
    cache: LayerCache,
    start: number,
    rotation: Rotation,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const { architecture, headDim, numAttentionHeads } = this.config
    const names = [`${name}.q_proj`, `${name}.k_proj`, `${name}.v_proj`]
    let [q, k, v] = await this.#project(names, x, signal)
    if (architecture === 'qwen3') {
      q = this.#norm(`${name}.q_norm`, q)
      k = this.#norm(`${name}.k_norm`, k)
    }
    rotate(q, headDim, rotation)
    rotate(k, headDim, rotation)
    cache.store(k, v, start)
    const heads = await attend(q, numAttentionHeads, cache, start, signal)
    const [out] = await this.#project([`${name}.o_proj`], heads, signal)
    return out
  }

  async #mlp(name: string, x: Float32Array, signal?: AbortSignal): Promise<Float32Array> {
    const [gate, up] = await this.#project([`${name}.gate_proj`, `${name}.up_proj`], x, signal)
    const [out] = await this.#project([`${name}.down_proj`], swiglu(gate, up), signal)
    return out
  }

  #norm(name: string, x: Float32Array): Float32Array {
    return rmsNorm(x, this.norms.get(name) as Float32Array, this.config.rmsNormEps)
  }

  /**
   * Projections of the same input, all queued before the first is awaited. Each is charged with the
   * time since the one before it was done.
   */
  #project(names: string[], x: Float32Array, signal?: AbortSignal): Promise<Float32Array[]> {
    let mark = now()
    const run = async (name: string) => {
      const projection = this.projections.get(name) as Projection
      const y = await projection.forward(x, { signal })
      const done = now()
      this.timing.addLinear(projection, done - mark)
      mark = done
      return y
    }
    return Promise.all(names.map(run))
  }
}

/** x += y, element by element. */
function add(x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] += y[i]
}
