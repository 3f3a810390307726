import type { Metadata } from './metadata.js'
import { tokenizerJson, vocabularyOf } from './tokenizer-json.js'
import type { Vocabulary } from './vocabulary.js'

/** Hugging Face's JSON files about text for the same model. */
export interface Documents {
  /** Undefined where the file has no tokenizer. */
  readonly tokenizer: object | undefined
  readonly tokenizerConfig: object
  /** End-of-sequence tokens, which go into config.json. */
  readonly eosTokenIds: readonly number[]
}

/**
 * Converts the metadata of a GGUF file to those JSON files.
 *
 * @throws FormatError naming the field that is missing, wrong, or not supported
 */
export function documentsOf(metadata: Metadata): Documents {
  const vocabulary = vocabularyOf(metadata)
  return {
    tokenizer: vocabulary && tokenizerJson(vocabulary),
    tokenizerConfig: tokenizerConfigJson(metadata, vocabulary),
    eosTokenIds: vocabulary?.eosTokenIds() ?? [],
  }
}

function tokenizerConfigJson(metadata: Metadata, vocabulary: Vocabulary | undefined): object {
  const tokens = {
    bos_token: vocabulary?.special('bos')?.token,
    eos_token: vocabulary?.special('eos')?.token,
    unk_token: vocabulary?.special('unknown')?.token,
    pad_token: vocabulary?.special('padding')?.token,
  }
  const key = 'tokenizer.chat_template'
  const template = metadata.text(key)
  const forTools = metadata.text(`${key}.tool_use`)
  const named = [
    { name: 'default', template },
    { name: 'tool_use', template: forTools },
  ]
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...Object.fromEntries(Object.entries(tokens).filter(([, token]) => token !== undefined)),
    ...(template !== undefined && { chat_template: forTools === undefined ? template : named }),
  }
}
