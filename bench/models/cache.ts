import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import os from 'node:os'
import { basename, dirname, join } from 'node:path'
import { synthesizeGguf } from './gguf.js'
import { synthesize } from './huggingface.js'
import type { ModelShape } from './shapes.js'
import type { OnProgress } from './write.js'

/** Where a random model is on disk. */
export interface CachedModel {
  /** In Hugging Face's format. */
  folder: string
  /** The same model in llama.cpp's format. */
  gguf: string
}

const SEED = 1

/** Increase it when the written bytes change, so that older files are not reused. */
const VERSION = 1

/**
 * Makes the random model of a shape in both formats, in the system's folder for temporary files, unless an earlier call
 * has.
 */
export async function cachedModel(
  shape: ModelShape,
  onProgress?: OnProgress,
): Promise<CachedModel> {
  const place = join(os.tmpdir(), `dotpool-models-${VERSION}`, shape.name)
  const options = { seed: SEED, onProgress }
  const folder = join(place, 'w8a8')
  const gguf = join(place, 'q8_0.gguf')
  await makeOnce(folder, (path) => synthesize(shape, path, options))
  await makeOnce(gguf, (path) => synthesizeGguf(shape, path, options))
  return { folder, gguf }
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
