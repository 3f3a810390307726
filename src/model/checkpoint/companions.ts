import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DisposedError } from '../../errors.js'
import { parseConfig } from '../config/config.js'
import { openGguf } from '../gguf/open.js'
import { copyFile, FileLimit, ifThere, isFile, readJson } from '../json/files.js'
import { isPacked, PackedFile } from '../packed/packed-file.js'
import { Texts } from '../text/texts.js'

/** The files of a checkpoint folder besides config.json and the tensors, if present. */
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

/** What a new checkpoint takes over from its source. */
export interface Companions {
  /** Fields of config.json. */
  readonly config: object
  /** Writes the other files. */
  writeTo(folder: string): Promise<void>
}

/**
 * Reads what a new checkpoint takes over.
 *
 * @param source a folder, or a GGUF file
 * @throws FormatError if the config is not one that can be loaded
 */
export async function readCompanions(source: string): Promise<Companions> {
  const companions = await ofSource(source)
  parseConfig(source, companions.config)
  return companions
}

async function ofSource(source: string): Promise<Companions> {
  if (await isPacked(source)) return await ofPacked(source)
  return (await isFile(source)) ? await ofGguf(source) : await ofFolder(source)
}

async function ofPacked(source: string): Promise<Companions> {
  await using packed = await PackedFile.open(source)
  const files = await packed.texts()
  const writeTo = async (folder: string) => {
    for (const [name, bytes] of files) await writeFile(join(folder, name), bytes, { flush: true })
  }
  return { config: packed.header.configJson, writeTo }
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

/** The text thread converts the vocabulary, because that takes long. */
async function ofGguf(source: string): Promise<Companions> {
  const { text, config: json, shards } = await openGguf(source)
  await shards.close()
  const texts = await Texts.open(text)
  const files = await texts.files().finally(() => texts.end(new DisposedError(source)))
  const writeTo = async (folder: string) => {
    for (const [name, bytes] of Object.entries<Uint8Array | undefined>({ ...files })) {
      if (bytes !== undefined) await writeFile(join(folder, name), bytes, { flush: true })
    }
  }
  return { config: { ...json, eos_token_id: texts.eosTokenIds }, writeTo }
}
