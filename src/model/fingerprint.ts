import { createHash, type Hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { DenseWeight } from '../ops/dense-weight.js'
import { Linear } from '../ops/linear.js'
import { version } from '../version.js'
import type { Decoder } from './decoder/decoder.js'
import type { ModelLinear } from './decoder/model-linear.js'

/** Hashed at a time, bytes: some milliseconds, then the event loop has its turn. */
const CHUNK = 1 << 20

/** See `Model.fingerprint`. Packed weights are the same on every CPU, so their bytes are hashed as they lie. */
export async function fingerprintOf(
  decoder: Decoder,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { network, cacheType } = decoder
  const { embedding, norms, linears } = network
  // how weights are stored says nothing of what they are
  const { quantization, packing, ...config } = network.config
  const digest = new Digest(signal)
  digest.note({ version, config, cacheType })
  await digest.addDense('embedding', embedding)
  for (const [name, norm] of norms) {
    digest.note({ name })
    await digest.add(norm)
  }
  for (const [name, linear] of linears) {
    await digest.addLinear(name, linear)
    decoder.check()
  }
  return digest.end()
}

class Digest {
  readonly #hash: Hash = createHash('sha256')
  readonly #signal: AbortSignal | undefined

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  /** What tells the bytes that follow from others. */
  note(facts: object): void {
    this.#hash.update(`${JSON.stringify(facts)}\n`)
  }

  async add({ buffer, byteOffset, byteLength }: ArrayBufferView): Promise<void> {
    for (let done = 0; done < byteLength; done += CHUNK) {
      this.#signal?.throwIfAborted()
      const length = Math.min(CHUNK, byteLength - done)
      this.#hash.update(new Uint8Array(buffer, byteOffset + done, length))
      await setImmediate()
    }
  }

  async addDense(name: string, weight: DenseWeight): Promise<void> {
    const { type, inFeatures, outFeatures, bias } = weight
    this.note({ name, type, inFeatures, outFeatures, hasBias: bias !== undefined })
    await this.add(weight.data)
    if (bias !== undefined) await this.add(bias)
  }

  async addLinear(name: string, linear: ModelLinear): Promise<void> {
    if (!(linear instanceof Linear)) return await this.addDense(name, linear.weight)
    const { inFeatures, outFeatures, outliers, weight } = linear
    const { tiles, scale, bias } = weight
    this.note({
      name,
      type: weight.type,
      inFeatures,
      outFeatures,
      outliers,
      hasBias: bias !== undefined,
    })
    for (const array of [tiles, scale, bias]) if (array !== undefined) await this.add(array)
  }

  end(): string {
    return this.#hash.digest('hex')
  }
}
