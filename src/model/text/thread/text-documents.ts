import type { TextFiles } from './service.js'

/** What a checkpoint says about text, as parsed JSON, and the files to name in errors. */
export interface TextDocuments {
  /** Undefined where there is none. */
  readonly tokenizer: unknown
  readonly tokenizerFile: string
  /** Of tokenizer_config.json. */
  readonly config: unknown
  readonly configFile: string
  /** Of chat_template.jinja; undefined where there is none. */
  readonly template: string | undefined
  readonly templateFile: string
  /** Tokens that end a text, where the tokenizer's file names them. */
  readonly eosTokenIds: readonly number[]
  /** Written anew each time, for nearly nobody needs them. */
  files(): TextFiles
}
