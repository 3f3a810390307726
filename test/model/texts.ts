import type { ChatTemplate } from '#src/model/text/chat-template.js'
import { Texts } from '#src/model/text/texts.js'
import { parseFiles } from '#src/model/text/thread/parse-documents.js'
import { TextEngine } from '#src/model/text/thread/text-engine.js'
import { TextInPlace } from '#src/model/text/thread/text-in-place.js'
import type { SourceFile, TextSource } from '#src/model/text/thread/text-source.js'
import type { Tokenizer } from '#src/model/text/tokenizer.js'

/** A file that holds this text, or JSON. */
export function sourceFile(file: string, content: unknown): SourceFile {
  const text = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))
  const bytes = new Uint8Array(new SharedArrayBuffer(text.byteLength))
  bytes.set(text)
  return { file, bytes }
}

/** A checkpoint's texts of these contents. */
export function textSource({
  tokenizer,
  config,
  template,
}: {
  tokenizer?: unknown
  config?: object
  template?: string
}): TextSource & { format: 'json' } {
  return {
    format: 'json',
    tokenizer: tokenizer === undefined ? undefined : sourceFile('tokenizer.json', tokenizer),
    config:
      config === undefined
        ? { file: 'tokenizer_config.json', bytes: undefined }
        : sourceFile('tokenizer_config.json', config),
    template: template === undefined ? undefined : sourceFile('chat_template.jinja', template),
  }
}

/** Parses them without a thread, as in a bundle without the thread's file. */
export function parseTexts(source: TextSource & { format: 'json' }): Texts {
  const service = new TextInPlace(new TextEngine(parseFiles(source)))
  return new Texts(service, service.callSync({ kind: 'contents' }))
}

/** The tokenizer of a tokenizer.json. */
export function parseTokenizer(json: unknown): Tokenizer {
  return parseTexts(textSource({ tokenizer: json })).tokenizer as Tokenizer
}

/**
 * The template of a chat_template.jinja, or else of tokenizer_config.json.
 *
 * @param tokens special tokens by the names of their roles
 */
export function parseTemplate(source: unknown, tokens: object): ChatTemplate {
  const [config, template] =
    typeof source === 'string'
      ? [tokens, source]
      : [{ ...tokens, chat_template: source }, undefined]
  return parseTexts(textSource({ config, ...(template !== undefined && { template }) }))
    .chatTemplate
}
