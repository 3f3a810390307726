import { FormatError } from '../../../errors.js'
import { type Documents, documentsOf } from '../../gguf/documents.js'
import { parseHeader } from '../../gguf/header.js'
import { formatJson } from '../../json/json.js'
import type { TextFiles } from './service.js'
import type { TextDocuments } from './text-documents.js'
import type { TextSource } from './text-source.js'

type GgufSource = TextSource & { format: 'gguf' }

/**
 * What the header of a GGUF file says about text.
 *
 * @throws FormatError naming the field
 */
export function parseGguf(source: GgufSource): TextDocuments {
  const { file } = source.header
  const { tokenizer, tokenizerConfig, eosTokenIds } = readDocuments(source)
  return {
    tokenizer,
    tokenizerFile: file,
    config: tokenizerConfig,
    configFile: file,
    template: undefined,
    templateFile: file,
    eosTokenIds,
    files: () => filesOf(readDocuments(source)),
  }
}

function readDocuments({ header, size }: GgufSource): Documents {
  const { file, bytes } = header
  const parsed = parseHeader(file, bytes.slice(), size)
  if (typeof parsed === 'number') throw new FormatError(file, 'truncated: the header has no end')
  return documentsOf(parsed.metadata)
}

function filesOf({ tokenizer, tokenizerConfig }: Documents): TextFiles {
  const encode = (json: object) => new TextEncoder().encode(formatJson(json))
  return {
    ...(tokenizer && { 'tokenizer.json': encode(tokenizer) }),
    'tokenizer_config.json': encode(tokenizerConfig),
  }
}
