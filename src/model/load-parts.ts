import { ArgumentError, checkPath } from '../errors.js'
import { checkOptions } from '../options.js'
import { checkPool, type Pool } from '../pool/pool.js'
import { type LoadOptions, loadCheckpoint, loadOptions, type ModelParts } from './load.js'
import { loadPacked } from './packed/load-packed.js'
import { isPacked } from './packed/packed-file.js'

/**
 * What {@link Model.load} loads.
 *
 * @throws as it does
 */
export async function loadParts(
  pool: Pool,
  folder: string,
  given: LoadOptions,
): Promise<ModelParts> {
  checkPool(pool)
  checkPath('folder', folder)
  const options = checkOptions(given, loadOptions)
  if (await isPacked(folder)) return await loadPacked(pool, folder, options)
  if (!options.verify) return await loadCheckpoint(pool, folder, options)
  const expected = 'a packed model to verify, for only such a file has a checksum'
  throw new ArgumentError('folder', expected, folder)
}
