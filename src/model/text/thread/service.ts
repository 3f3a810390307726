import type { DotpoolError } from '../../../errors.js'
import type { JsonObject } from '../../json/copy-json.js'
import type { ChatMessage } from '../chat-messages.js'
import type { TokenTableData } from '../token-table.js'

/** What the texts of a checkpoint are found to be once they are parsed. */
export interface TextContents {
  /** Undefined where there is no tokenizer. */
  readonly tokens: TokenTableData | undefined
  readonly hasTemplate: boolean
  /** The file of the template, or the one that has none. */
  readonly templateFile: string
  /** Tokens that end a text, where the tokenizer's file names them. */
  readonly eosTokenIds: readonly number[]
}

/**
 * What a checkpoint says about text: the contents of files in the Hugging Face layout, by their names. None of them must
 * be there.
 */
export interface TextFiles {
  readonly 'tokenizer.json'?: Uint8Array | undefined
  readonly 'tokenizer_config.json'?: Uint8Array | undefined
  readonly 'chat_template.jinja'?: Uint8Array | undefined
}

/** What can be asked for, by its kind. */
export interface TextRequests {
  contents: unknown
  files: unknown
  encode: { readonly text: string; readonly addSpecialTokens: boolean }
  render: {
    readonly messages: readonly ChatMessage[]
    readonly addGenerationPrompt: boolean
    readonly tools: readonly JsonObject[] | null
    readonly variables: JsonObject
  }
}

/** What comes back. */
export interface TextAnswers {
  contents: TextContents
  files: TextFiles
  encode: Uint32Array<ArrayBuffer>
  render: string
}

export type TextKind = keyof TextRequests

export type TextRequest<Kind extends TextKind = TextKind> = {
  [K in Kind]: { readonly kind: K } & TextRequests[K]
}[Kind]

/** Whoever tokenises texts and renders templates: a thread, or the caller's own. */
export interface TextService {
  /** @throws what the work throws, the signal's reason, DeadlineError, WorkerDiedError */
  call<Kind extends TextKind>(
    request: TextRequest<Kind>,
    signal?: AbortSignal,
  ): Promise<TextAnswers[Kind]>

  /** The same, blocking. */
  callSync<Kind extends TextKind>(request: TextRequest<Kind>): TextAnswers[Kind]

  /**
   * Rejects what waits with `reason`, and keeps no thread from now on but while a call needs one. Resolves once the
   * thread is gone.
   */
  end(reason: DotpoolError): Promise<void>
}
