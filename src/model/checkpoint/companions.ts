import { join } from 'node:path'
import { parseConfig } from '../config/config.js'
import { documentsOf } from '../gguf/documents.js'
import { openGguf } from '../gguf/open.js'
import { copyFile, FileLimit, ifThere, isFile, readJson, writeJson } from '../json/files.js'

/** What belongs to a checkpoint folder beside config.json and the tensors, where it is there. */
const FILES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'generation_config.json',
]

/** What a new checkpoint takes over from the one that it is made of. */
export interface Companions {
  /** Of config.json. */
  readonly config: object
  /** Writes the other files. */
  writeTo(folder: string): Promise<void>
}

/**
 * Reads what a new checkpoint takes over.
 *
 * @param source a folder, or a GGUF file
 * @throws FormatError if the config is not one to load
 */
export async function readCompanions(source: string): Promise<Companions> {
  const companions = (await isFile(source)) ? await ofGguf(source) : await ofFolder(source)
  parseConfig(source, companions.config)
  return companions
}

async function ofFolder(source: string): Promise<Companions> {
  const config = (await readJson(join(source, 'config.json'), FileLimit.config)) as object
  const writeTo = async (folder: string) => {
    for (const name of FILES) {
      await ifThere(copyFile(join(source, name), join(folder, name)))
    }
  }
  return { config, writeTo }
}

async function ofGguf(source: string): Promise<Companions> {
  const { metadata, config: json, shards } = await openGguf(source)
  await shards.close()
  const { tokenizer, tokenizerConfig, eosTokenIds } = documentsOf(metadata)
  const config = { ...json, eos_token_id: eosTokenIds }
  const writeTo = async (folder: string) => {
    if (tokenizer !== undefined) await writeJson(join(folder, 'tokenizer.json'), tokenizer)
    await writeJson(join(folder, 'tokenizer_config.json'), tokenizerConfig)
  }
  return { config, writeTo }
}
