import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HEAD } from '../../src/model/config/parameters.js'
import { w4a8Config, w8a8Config } from '../../src/model/config/quantization-config.js'
import { INT4_GROUP } from '../../src/reference/int4.js'
import { type Bits, isInt4 } from './bits.js'
import { drawNorm, drawPieces, scaleOf } from './draw.js'
import { toNibbles } from './nibbles.js'
import type { ModelShape } from './shapes.js'
import { type ShapeTensor, tensorsOf } from './tensors.js'
import { bytesOf, type OnProgress, type Pieces, writePieces } from './write.js'

/*
 * A folder in Hugging Face's format, without a tokenizer: Linears in the W8A8 layout of compressed-tensors or in
 * dotpool's W4A8, embedding (and so the tied head) and norms in bfloat16.
 */

export interface SynthesizeOptions {
  /** The same seed and bits give the same model, in this format and in GGUF. */
  seed: number
  bits: Bits
  onProgress?: OnProgress | undefined
}

interface StoredTensor {
  name: string
  dtype: 'I8' | 'U8' | 'BF16' | 'F32'
  dims: number[]
  bytes: number
  pieces: () => Pieces
}

/**
 * Writes a random model of a shape: config.json and model.safetensors, into a folder that is created if missing. A model
 * of four bits may be written as W8A8, too.
 *
 * @throws Error of the file system, also where the files exist already
 */
export async function synthesize(
  shape: ModelShape,
  folder: string,
  format: 'w8a8' | 'w4a8',
  { seed, bits, onProgress }: SynthesizeOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const tensors = tensorsOf(shape).flatMap((tensor) =>
    storedTensors(seed, tensor, bits, format === 'w4a8' && isInt4(shape, tensor.name)),
  )
  const header = safetensorsHeader(tensors)
  const total = header.length + tensors.reduce((sum, { bytes }) => sum + bytes, 0)
  const pieces = function* () {
    yield header
    for (const tensor of tensors) yield* tensor.pieces()
  }
  await writePieces(join(folder, 'model.safetensors'), pieces(), total, onProgress)
  const quantization_config = format === 'w4a8' ? w4a8ConfigOf(shape) : w8a8Config([HEAD])
  const config = { ...configOf(shape), quantization_config }
  await writeFile(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`)
}

function storedTensors(
  seed: number,
  tensor: ShapeTensor,
  bits: Bits,
  isPacked: boolean,
): StoredTensor[] {
  const { kind, rows, columns } = tensor
  const name = `${tensor.name}.weight`
  const size = rows * columns
  if (kind === 'norm') {
    const pieces = () => [upperHalves(drawNorm(seed, tensor))]
    return [{ name, dtype: 'BF16', dims: [columns], bytes: 2 * size, pieces }]
  }
  const dims = [rows, columns]
  const scale = scaleOf(tensor, bits).value
  if (kind === 'embedding') {
    const pieces = () => toBfloat16(drawPieces(seed, tensor, bits), scale)
    return [{ name, dtype: 'BF16', dims, bytes: 2 * size, pieces }]
  }
  const stored: StoredTensor = {
    name: `${name}_scale`,
    dtype: 'F32',
    dims: [rows, 1],
    bytes: 4 * rows,
    pieces: () => [bytesOf(new Float32Array(rows).fill(scale))],
  }
  const draw = () => drawPieces(seed, tensor, bits)
  if (!isPacked) {
    const pieces = function* () {
      for (const piece of draw()) yield bytesOf(piece)
    }
    return [stored, { name, dtype: 'I8', dims, bytes: size, pieces }]
  }
  const groups = columns / INT4_GROUP
  return [
    stored,
    {
      name: `${name}_multiplier`,
      dtype: 'I8',
      dims: [rows, groups],
      bytes: rows * groups,
      pieces: () => [new Uint8Array(rows * groups).fill(1)],
    },
    {
      name,
      dtype: 'U8',
      dims: [rows, columns / 2],
      bytes: size / 2,
      pieces: function* () {
        for (const piece of draw()) yield toNibbles(piece)
      },
    },
  ]
}

/** Stores exact bfloat16 values as bfloat16. */
function upperHalves(values: Float32Array): Uint8Array {
  return bytesOf(Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16))
}

function* toBfloat16(pieces: Iterable<Int8Array>, scale: number): Generator<Uint8Array> {
  const values = Float32Array.from(new Int8Array(new Uint8Array(256).map((_, i) => i)))
  const table = new Uint16Array(upperHalves(values.map((value) => value * scale)).buffer)
  for (const piece of pieces) {
    const halves = new Uint16Array(piece.length)
    for (let i = 0; i < piece.length; i++) halves[i] = table[piece[i] & 0xff]
    yield bytesOf(halves)
  }
}

/** https://github.com/huggingface/safetensors#format */
function safetensorsHeader(tensors: readonly StoredTensor[]): Uint8Array {
  const entries: Record<string, object> = { __metadata__: { format: 'pt' } }
  let begin = 0
  for (const { name, dtype, dims, bytes } of tensors) {
    entries[name] = { dtype, shape: dims, data_offsets: [begin, begin + bytes] }
    begin += bytes
  }
  const json = Buffer.from(JSON.stringify(entries))
  const length = Math.ceil(json.length / 8) * 8
  const header = Buffer.alloc(8 + length, ' ')
  header.writeBigUInt64LE(BigInt(length))
  json.copy(header, 8)
  return header
}

function configOf(shape: ModelShape): object {
  return {
    architectures: [shape.architecture],
    model_type: shape.architecture === 'Qwen3ForCausalLM' ? 'qwen3' : 'llama',
    vocab_size: shape.vocabSize,
    hidden_size: shape.hiddenSize,
    intermediate_size: shape.intermediateSize,
    num_hidden_layers: shape.layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    head_dim: shape.headDim,
    max_position_embeddings: shape.maxPositions,
    rms_norm_eps: shape.rmsNormEps,
    rope_theta: shape.ropeTheta,
    rope_scaling: shape.ropeScaling ?? null,
    hidden_act: 'silu',
    attention_bias: false,
    tie_word_embeddings: true,
    bos_token_id: shape.bosTokenId,
    eos_token_id: shape.eosTokenId,
    torch_dtype: 'bfloat16',
  }
}

function w4a8ConfigOf(shape: ModelShape): object {
  const linears = tensorsOf(shape).filter(({ kind }) => kind === 'linear')
  const bits = linears.map(({ name }): [string, number] => [name, isInt4(shape, name) ? 4 : 8])
  return w4a8Config([HEAD], new Map(bits))
}
