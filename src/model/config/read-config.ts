import { join } from 'node:path'
import { Fields } from '../json/fields.js'
import { FileLimit, ifThere, readJson } from '../json/files.js'
import { type ModelConfig, parseConfig } from './config.js'

/**
 * Reads the configuration of a checkpoint folder, with the end-of-sequence tokens that generation_config.json adds.
 *
 * @throws FormatError naming the file that is missing, broken, or of a kind that this version does not support
 */
export async function readConfig(folder: string): Promise<ModelConfig> {
  const configFile = join(folder, 'config.json')
  const config = parseConfig(configFile, await readJson(configFile, FileLimit.config))
  const generationFile = join(folder, 'generation_config.json')
  const json = await ifThere(readJson(generationFile, FileLimit.config))
  const added = json === undefined ? [] : new Fields(generationFile, json).tokenIds('eos_token_id')
  return { ...config, eosTokenIds: [...new Set([...config.eosTokenIds, ...added])] }
}
