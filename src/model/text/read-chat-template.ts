import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fields } from '../json/fields.js'
import { reading, readJson } from '../json/files.js'
import { ChatTemplate } from './chat-template.js'
import { parseSpecialTokens } from './special-tokens.js'

/**
 * Reads a checkpoint's chat template: chat_template.jinja, or what tokenizer_config.json holds. A
 * checkpoint may have neither; the template says so when it is to render.
 *
 * @throws FormatError naming the file that is broken
 */
export async function readChatTemplate(folder: string): Promise<ChatTemplate> {
  const configFile = join(folder, 'tokenizer_config.json')
  const config: unknown = existsSync(configFile) ? await readJson(configFile) : {}
  const { values } = new Fields(configFile, config)
  const specialTokens = parseSpecialTokens(configFile, values)
  const templateFile = join(folder, 'chat_template.jinja')
  if (!existsSync(templateFile)) {
    return ChatTemplate.parse(configFile, values.chat_template, specialTokens)
  }
  const source = await reading(templateFile, readFile(templateFile, 'utf8'))
  return ChatTemplate.parse(templateFile, source, specialTokens)
}
