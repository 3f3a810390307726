import { join } from 'node:path'
import { type ModelConfig, parseConfig } from '../config/config.js'
import type { Documents } from '../gguf/documents.js'
import { Fields } from '../json/fields.js'
import { ifThere, readJson } from '../json/files.js'
import { ChatTemplate } from '../text/chat-template.js'
import { readChatTemplate } from '../text/read-chat-template.js'
import { parseSpecialTokens } from '../text/special-tokens.js'
import { Tokenizer } from '../text/tokenizer.js'

/** What a checkpoint says beside its tensors. */
export interface CheckpointTexts {
  /** With the ids that generation_config.json adds to those that end a text. */
  config: ModelConfig
  tokenizer: Tokenizer | undefined
  chatTemplate: ChatTemplate
}

/**
 * Reads the JSON and text files of a checkpoint. Only config.json must be there.
 *
 * @throws FormatError naming the file that is missing, broken, or of a kind this version does not know
 */
export async function readTexts(folder: string): Promise<CheckpointTexts> {
  const configFile = join(folder, 'config.json')
  const config = parseConfig(configFile, await readJson(configFile))
  const generation = await readFields(join(folder, 'generation_config.json'))
  const eosTokenIds = new Set([...config.eosTokenIds, ...(generation?.ids('eos_token_id') ?? [])])

  const tokenizerFile = join(folder, 'tokenizer.json')
  const tokenizer = await ifThere(readJson(tokenizerFile))
  return {
    config: { ...config, eosTokenIds: [...eosTokenIds] },
    tokenizer: tokenizer === undefined ? undefined : Tokenizer.parse(tokenizerFile, tokenizer),
    chatTemplate: await readChatTemplate(folder),
  }
}

/**
 * What the metadata of a GGUF file says.
 *
 * @param file named in errors
 * @throws FormatError
 */
export function parseTexts(
  file: string,
  { config, tokenizer, tokenizerConfig }: Documents,
): CheckpointTexts {
  const { values } = new Fields(file, tokenizerConfig)
  return {
    config: parseConfig(file, config),
    tokenizer: tokenizer === undefined ? undefined : Tokenizer.parse(file, tokenizer),
    chatTemplate: ChatTemplate.parse(file, values.chat_template, parseSpecialTokens(file, values)),
  }
}

/** The fields of a JSON file that need not be there. */
async function readFields(file: string): Promise<Fields | undefined> {
  const json = await ifThere(readJson(file))
  return json === undefined ? undefined : new Fields(file, json)
}
