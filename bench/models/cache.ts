import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import os from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { Bits } from './bits.js'
import { synthesizeGguf } from './gguf.js'
import { synthesize } from './huggingface.js'
import type { ModelShape } from './shapes.js'
import type { OnProgress } from './write.js'

/** The formats that a random model is written in, all with the same numbers, by the bits of its Linears. */
const formats = { 8: ['w8a8', 'q8_0'], 4: ['w8a8', 'w4a8', 'q4_0', 'q4_k_m'] } as const

type FormatOf<B extends Bits> = (typeof formats)[B][number]

/** A folder in Hugging Face's format, or a file in llama.cpp's. */
export type Format = FormatOf<Bits>

const SEED = 1

/** Increase it when the written bytes change, so that older files are not reused. */
const VERSION = 2

/**
 * Makes the random model of a shape in all formats, in the system's folder for temporary files, unless an earlier call
 * has.
 *
 * @returns where it is in each
 */
export async function cachedModel<B extends Bits>(
  shape: ModelShape,
  bits: B,
  onProgress?: OnProgress,
): Promise<Record<FormatOf<B>, string>> {
  const place = join(os.tmpdir(), `dotpool-models-${VERSION}`, `${shape.name}-${bits}`)
  const options = { seed: SEED, bits, onProgress }
  const paths: Partial<Record<Format, string>> = {}
  for (const format of formats[bits]) {
    if (format === 'w8a8' || format === 'w4a8') {
      const folder = join(place, format)
      await makeOnce(folder, (path) => synthesize(shape, path, format, options))
      paths[format] = folder
    } else {
      const file = join(place, `${format}.gguf`)
      await makeOnce(file, (path) => synthesizeGguf(shape, path, format, options))
      paths[format] = file
    }
  }
  return paths as Record<FormatOf<B>, string>
}

/** Makes it elsewhere first, so that a file under its final name is always complete. */
async function makeOnce(path: string, make: (path: string) => Promise<void>): Promise<void> {
  if (existsSync(path)) return
  await mkdir(dirname(path), { recursive: true })
  const workplace = await mkdtemp(`${path}-`)
  try {
    const made = join(workplace, basename(path))
    await make(made)
    await rename(made, path)
  } finally {
    await rm(workplace, { recursive: true })
  }
}
