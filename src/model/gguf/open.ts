import { FormatError } from '../../errors.js'
import { Shards } from '../checkpoint/shards.js'
import { readFully } from '../json/files.js'
import type { TextSource } from '../text/thread/text-source.js'
import { architectureOf, configJson, headDimOf } from './config-json.js'
import type { GgufFile } from './gguf-file.js'
import { GgufTensors } from './gguf-tensors.js'
import type { GgufTensor } from './header.js'
import { openParts } from './parts.js'
import { ROPE_FACTORS } from './tensor-names.js'

export interface Gguf {
  /** The file's content about text. */
  readonly text: TextSource & { format: 'gguf' }
  /** The model's config.json in Hugging Face's format, without end-of-sequence tokens. */
  readonly config: Record<string, unknown>
  /** The tensors in Hugging Face's form. */
  readonly shards: Shards
}

/**
 * Opens a model in GGUF: one file, or the first of several. Close the shards when done.
 *
 * @throws FormatError naming the file that is missing, broken, or of a kind that this version does not support;
 *   nothing stays open then
 */
export async function openGguf(file: string): Promise<Gguf> {
  const parts = await openParts(file)
  try {
    const [first] = parts
    const tensors = new Map(parts.flatMap((part) => [...part.tensors]))
    const headDim = headDimOf(first.metadata)
    const ropeFactors = await readRopeFactors(parts, headDim)
    // in llama.cpp, only Llama rotates adjacent rows
    const paired = architectureOf(first.metadata) === 'llama' ? headDim : undefined
    return {
      text: textSource(first),
      config: configJson(first.metadata, tensors, ropeFactors),
      shards: new Shards(
        file,
        parts.map((part) => new GgufTensors(part, paired)),
      ),
    }
  } catch (error) {
    for (const { handle } of parts) await handle.close()
    throw error
  }
}

/** The header, in memory that threads share. */
function textSource({ file, header, size }: GgufFile): Gguf['text'] {
  const bytes = new Uint8Array(new SharedArrayBuffer(header.byteLength))
  bytes.set(header)
  return { format: 'gguf', header: { file, bytes }, size }
}

/** The divisors of the RoPE frequencies; undefined where the model has none. */
async function readRopeFactors(
  parts: readonly GgufFile[],
  headDim: number,
): Promise<Float32Array | undefined> {
  const part = parts.find(({ tensors }) => tensors.has(ROPE_FACTORS))
  if (part === undefined) return undefined
  const { type, dims, begin } = part.tensors.get(ROPE_FACTORS) as GgufTensor
  if (type.name !== 'F32' || dims.length !== 1 || dims[0] !== headDim / 2) {
    const problem = `expected F32 of shape [${headDim / 2}], got ${type.name} of [${dims}]`
    throw new FormatError(part.file, `tensor ${ROPE_FACTORS}: ${problem}`)
  }
  const factors = new Float32Array(dims[0])
  await readFully(part.file, part.handle, new Uint8Array(factors.buffer), begin)
  return factors
}
