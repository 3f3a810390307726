import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { drawNorm, drawPieces, scaleOf } from './draw.js'
import type { ModelShape } from './shapes.js'
import { type ShapeTensor, tensorsOf } from './tensors.js'
import { bytesOf, type OnProgress, type Pieces, writePieces } from './write.js'

/*
 * A folder in Hugging Face's format, without a tokenizer: int8 Linears in the W8A8 layout of compressed-tensors,
 * embedding (and so the tied head) and norms in bfloat16.
 */

export interface SynthesizeOptions {
  /** The same seed gives the same model, in this format and in GGUF. */
  seed: number
  onProgress?: OnProgress | undefined
}

interface StoredTensor {
  name: string
  dtype: 'I8' | 'BF16' | 'F32'
  dims: number[]
  bytes: number
  pieces: () => Pieces
}

/**
 * Writes a random model of a shape: config.json and model.safetensors, into a folder that is created if missing.
 *
 * @throws Error of the file system, also where the files exist already
 */
export async function synthesize(
  shape: ModelShape,
  folder: string,
  { seed, onProgress }: SynthesizeOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const tensors = tensorsOf(shape).flatMap((tensor) => storedTensors(seed, tensor))
  const header = safetensorsHeader(tensors)
  const total = header.length + tensors.reduce((sum, { bytes }) => sum + bytes, 0)
  const pieces = function* () {
    yield header
    for (const tensor of tensors) yield* tensor.pieces()
  }
  await writePieces(join(folder, 'model.safetensors'), pieces(), total, onProgress)
  await writeFile(join(folder, 'config.json'), `${JSON.stringify(configOf(shape), null, 2)}\n`)
}

function storedTensors(seed: number, tensor: ShapeTensor): StoredTensor[] {
  const { kind, rows, columns } = tensor
  const name = `${tensor.name}.weight`
  const size = rows * columns
  if (kind === 'norm') {
    const pieces = () => [upperHalves(drawNorm(seed, tensor))]
    return [{ name, dtype: 'BF16', dims: [columns], bytes: 2 * size, pieces }]
  }
  const dims = [rows, columns]
  const scale = scaleOf(tensor).value
  if (kind === 'embedding') {
    const pieces = () => toBfloat16(drawPieces(seed, tensor), scale)
    return [{ name, dtype: 'BF16', dims, bytes: 2 * size, pieces }]
  }
  return [
    {
      name: `${tensor.name}.weight_scale`,
      dtype: 'F32',
      dims: [rows, 1],
      bytes: 4 * rows,
      pieces: () => [bytesOf(new Float32Array(rows).fill(scale))],
    },
    {
      name,
      dtype: 'I8',
      dims,
      bytes: size,
      pieces: function* () {
        for (const piece of drawPieces(seed, tensor)) yield bytesOf(piece)
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
  const integers = { num_bits: 8, type: 'int', symmetric: true }
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
    quantization_config: {
      quant_method: 'compressed-tensors',
      format: 'int-quantized',
      quantization_status: 'compressed',
      ignore: ['lm_head'],
      config_groups: {
        group_0: {
          targets: ['Linear'],
          weights: { ...integers, strategy: 'channel', dynamic: false },
          input_activations: { ...integers, strategy: 'token', dynamic: true },
          output_activations: null,
        },
      },
    },
  }
}
