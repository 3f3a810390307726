import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import os from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Model, Pool } from '../../src/index.js'
import type { Bits } from './bits.js'
import { synthesizeGguf } from './gguf.js'
import { synthesize } from './huggingface.js'
import type { ModelShape } from './shapes.js'
import type { OnProgress } from './write.js'

/**
 * The formats that a random model is written in, by the bits of its Linears: all with the same numbers, but for a head
 * that is rounded to four bits.
 */
const formats = {
  8: ['w8a8', 'q8_0'],
  4: ['w8a8', 'w4a8', 'w4a8-int4-head', 'q4_0', 'q4_k_m'],
} as const

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
    } else if (format === 'w4a8-int4-head') {
      const folder = join(place, format)
      // the one before it is there
      await makeOnce(folder, (path) => roundHead(join(place, 'w4a8'), path))
      paths[format] = folder
    } else {
      const file = join(place, `${format}.gguf`)
      await makeOnce(file, (path) => synthesizeGguf(shape, path, format, options))
      paths[format] = file
    }
  }
  return paths as Record<FormatOf<B>, string>
}

/** Writes a model of four bits anew, its head in four bits, too: the search for these takes a minute or two. */
async function roundHead(source: string, target: string): Promise<void> {
  await using pool = await Pool.create()
  using model = await Model.load(pool, source, { head: 'int4' })
  await model.save(target)
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
