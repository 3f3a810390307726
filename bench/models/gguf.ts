import { drawNorm, drawPieces, scaleOf } from './draw.js'
import { type GgufFormatName, ggufFormats, toBlocks } from './gguf-blocks.js'
import { type Field, float32, ggufHeader, string, uint32 } from './gguf-header.js'
import { placeholderTokenizer } from './gguf-tokenizer.js'
import type { SynthesizeOptions } from './huggingface.js'
import type { Llama3Scaling, ModelShape } from './shapes.js'
import { type ShapeTensor, tensorsOf } from './tensors.js'
import { bytesOf, type Pieces, writePieces } from './write.js'

/** ggml's number of float32. */
const F32 = 0

export interface GgufTensor {
  name: string
  type: number
  /** The innermost first. */
  dims: number[]
  bytes: number
  pieces: () => Pieces
}

/**
 * Writes the same random model as `synthesize`, for llama.cpp: Linears and embedding (and so the tied head) in blocks,
 * norms in float32, with equal values. Its tokens spell nothing.
 *
 * @param format one with 4-bit Linears holds a model of 4 bits only, and rows of whole blocks
 * @throws Error of the file system, also where the file exists already
 */
export async function synthesizeGguf(
  shape: ModelShape,
  file: string,
  format: GgufFormatName,
  { seed, bits, onProgress }: SynthesizeOptions,
): Promise<void> {
  const tensors = [
    ...tensorsOf(shape).map((tensor) => ggufTensor(shape, tensor, format, { seed, bits })),
    ...(shape.ropeScaling === undefined ? [] : [ropeFactors(shape, shape.ropeScaling)]),
  ]
  const { header, padding } = ggufHeader(fieldsOf(shape, format), tensors)
  const total = tensors.reduce((sum, { bytes }) => sum + bytes + padding(bytes), header.length)
  const pieces = function* () {
    yield header
    for (const tensor of tensors) {
      yield* tensor.pieces()
      yield new Uint8Array(padding(tensor.bytes))
    }
  }
  await writePieces(file, pieces(), total, onProgress)
}

function fieldsOf(shape: ModelShape, format: GgufFormatName): Field[] {
  const architecture = shape.architecture === 'Qwen3ForCausalLM' ? 'qwen3' : 'llama'
  const ofModel: Field[] = [
    ['vocab_size', uint32(shape.vocabSize)],
    ['context_length', uint32(shape.maxPositions)],
    ['embedding_length', uint32(shape.hiddenSize)],
    ['block_count', uint32(shape.layers)],
    ['feed_forward_length', uint32(shape.intermediateSize)],
    ['attention.head_count', uint32(shape.heads)],
    ['attention.head_count_kv', uint32(shape.kvHeads)],
    ['attention.key_length', uint32(shape.headDim)],
    ['attention.value_length', uint32(shape.headDim)],
    ['attention.layer_norm_rms_epsilon', float32(shape.rmsNormEps)],
    ['rope.dimension_count', uint32(shape.headDim)],
    ['rope.freq_base', float32(shape.ropeTheta)],
  ]
  return [
    ['general.architecture', string(architecture)],
    ['general.name', string(shape.name)],
    ['general.file_type', uint32(ggufFormats[format].fileType)],
    ['general.quantization_version', uint32(2)],
    ...ofModel.map(([key, value]): Field => [`${architecture}.${key}`, value]),
    ...placeholderTokenizer(shape),
  ]
}

function ggufTensor(
  shape: ModelShape,
  tensor: ShapeTensor,
  format: GgufFormatName,
  { seed, bits }: SynthesizeOptions,
): GgufTensor {
  const { kind, rows, columns } = tensor
  const name = `${tensor.ggufName}.weight`
  if (kind === 'norm') {
    const pieces = () => [bytesOf(drawNorm(seed, tensor))]
    return { name, type: F32, dims: [columns], bytes: 4 * columns, pieces }
  }
  const type = ggufFormats[format].typeOf(tensor, shape.layers)
  const interleaved = tensor.rotated && shape.architecture === 'LlamaForCausalLM'
  return {
    name,
    type: type.ggml,
    dims: [columns, rows],
    bytes: ((rows * columns) / type.weights) * type.bytes,
    pieces: function* () {
      const scale = scaleOf(tensor, bits).bits
      for (const piece of drawPieces(seed, tensor, bits)) {
        yield toBlocks(interleaved ? interleave(piece, shape.headDim, columns) : piece, scale, type)
      }
    },
  }
}

/**
 * Hugging Face's RoPE rotates row i of a head with row i + D/2, llama.cpp's for Llama row 2i with 2i + 1.
 *
 * @param values int8 [heads * D, columns]
 */
function interleave(values: Int8Array, headDim: number, columns: number): Int8Array {
  const out = new Int8Array(values.length)
  const row = (i: number) => values.subarray(i * columns, (i + 1) * columns)
  for (let to = 0; to < values.length / columns; to++) {
    const inHead = to % headDim
    const from = to - inHead + (inHead >> 1) + (inHead % 2) * (headDim / 2)
    out.set(row(from), to * columns)
  }
  return out
}

/** The divisor of each frequency: https://arxiv.org/abs/2407.21783, in llama.cpp's own tensor. */
function ropeFactors({ headDim, ropeTheta }: ModelShape, scaling: Llama3Scaling): GgufTensor {
  const { factor, low_freq_factor: low, high_freq_factor: high } = scaling
  const factors = new Float32Array(headDim / 2).map((_, i) => {
    const wavelength = 2 * Math.PI * ropeTheta ** ((2 * i) / headDim)
    const turns = scaling.original_max_position_embeddings / wavelength
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)))
    return 1 / ((1 - kept) / factor + kept)
  })
  return {
    name: 'rope_freqs.weight',
    type: F32,
    dims: [factors.length],
    bytes: factors.byteLength,
    pieces: () => [bytesOf(factors)],
  }
}
