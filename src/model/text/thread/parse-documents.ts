import { FormatError } from '../../../errors.js'
import { parseJson } from '../../json/json.js'
import type { TextDocuments } from './text-documents.js'
import type { SourceFile, TextSource } from './text-source.js'

/**
 * Parses what a checkpoint says about text.
 *
 * @throws FormatError naming the file that is broken
 */
export async function parseDocuments(source: TextSource): Promise<TextDocuments> {
  if (source.format === 'json') return parseFiles(source)
  // only where it is needed, for each module takes a millisecond to load
  const { parseGguf } = await import('./gguf-documents.js')
  return parseGguf(source)
}

/** The same for the files of a folder. */
export function parseFiles({
  tokenizer,
  config,
  template,
}: TextSource & { format: 'json' }): TextDocuments {
  return {
    tokenizer: tokenizer && parseJson(tokenizer.file, tokenizer.bytes),
    tokenizerFile: tokenizer?.file ?? '',
    config: config.bytes === undefined ? {} : parseJson(config.file, config.bytes),
    configFile: config.file,
    template: template && decode(template),
    templateFile: (template ?? config).file,
    eosTokenIds: [],
    files: () => ({
      ...(tokenizer && { 'tokenizer.json': tokenizer.bytes.slice() }),
      ...(config.bytes && { 'tokenizer_config.json': config.bytes.slice() }),
      ...(template && { 'chat_template.jinja': template.bytes.slice() }),
    }),
  }
}

function decode({ file, bytes }: SourceFile): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new FormatError(file, 'is not valid UTF-8', { cause })
  }
}
