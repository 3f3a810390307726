import { FormatError } from '../../../errors.js'
import { documentsOf } from '../../gguf/documents.js'
import { parseHeader } from '../../gguf/header.js'
import type { TextDocuments } from './text-documents.js'
import type { TextSource } from './text-source.js'

/**
 * What the header of a GGUF file says about text.
 *
 * @throws FormatError naming the field
 */
export function parseGguf({ header, size }: TextSource & { format: 'gguf' }): TextDocuments {
  const { file, bytes } = header
  const parsed = parseHeader(file, bytes.slice(), size)
  if (typeof parsed === 'number') throw new FormatError(file, 'truncated: the header has no end')
  const { tokenizer, tokenizerConfig, eosTokenIds } = documentsOf(parsed.metadata)
  const files = { tokenizerFile: file, configFile: file, templateFile: file }
  return { tokenizer, config: tokenizerConfig, template: undefined, ...files, eosTokenIds }
}
