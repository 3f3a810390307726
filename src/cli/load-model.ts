import type { LoadOptions } from '../model/load.js'
import { Model } from '../model/model.js'
import type { Pool } from '../pool/pool.js'
import { withProgressBar } from './progress.js'

/** Loads a checkpoint, and shows the progress. */
export async function loadModel(pool: Pool, folder: string, options: LoadOptions): Promise<Model> {
  return await withProgressBar('loading', (onProgress) =>
    Model.load(pool, folder, { ...options, onProgress }),
  )
}
