import { join } from 'node:path'
import { Fields } from '../json/fields.js'
import { ifThere, readJson, readText } from '../json/files.js'
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
  const config = await ifThere(readJson(configFile))
  const { values } = new Fields(configFile, config === undefined ? {} : config)
  const specialTokens = parseSpecialTokens(configFile, values)
  const templateFile = join(folder, 'chat_template.jinja')
  const source = await ifThere(readText(templateFile))
  return source === undefined
    ? ChatTemplate.parse(configFile, values.chat_template, specialTokens)
    : ChatTemplate.parse(templateFile, source, specialTokens)
}
