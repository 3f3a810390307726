import { DisposedError, type DotpoolError } from '../../errors.js'
import type { Pool } from '../../pool/pool.js'
import { ChatTemplate } from './chat-template.js'
import type { TextContents, TextFiles, TextService } from './thread/service.js'
import { startService } from './thread/start-service.js'
import { copyTextSource, type TextSource } from './thread/text-source.js'
import { Tokenizer } from './tokenizer.js'

/**
 * The tokenizer and the chat template of a model without its weights, such as for a process that prepares prompts for
 * others. A thread of its own works for them.
 */
export class Texts {
  /** Of tokenizer.json, if there is one. */
  readonly tokenizer: Tokenizer | undefined
  /** Its `exists` tells whether there is one. */
  readonly chatTemplate: ChatTemplate
  /** @internal Tokens that end a text, where the tokenizer's file names them. */
  readonly eosTokenIds: readonly number[]
  /** @internal What was found when the files were parsed. */
  readonly contents: TextContents
  readonly #service: TextService | undefined

  /** @internal @param service undefined where there is nothing to work on */
  constructor(service: TextService | undefined, contents: TextContents) {
    const { tokens, hasTemplate, templateFile, eosTokenIds } = contents
    this.tokenizer = service && tokens && new Tokenizer(service, tokens)
    this.chatTemplate = new ChatTemplate(hasTemplate ? service : undefined, templateFile)
    this.eosTokenIds = eosTokenIds
    this.contents = contents
    this.#service = service
  }

  /**
   * Opens the files of a checkpoint that are about text, such as `Model.textFiles` gives them; `Checkpoint.open` reads
   * them from a folder. Close it when done.
   *
   * @param files copied at once
   * @throws ArgumentError naming what is no such file, or too large; FormatError naming the file that is broken, or of a
   *   kind that this version does not know; nothing stays open then
   */
  static async fromFiles(files: TextFiles): Promise<Texts> {
    return await Texts.open(copyTextSource(files))
  }

  /**
   * @internal Parses what a checkpoint says about text, in a thread.
   *
   * @throws FormatError naming the file that is broken, or of a kind that this version does not know; nothing
   *   stays open then
   */
  static async open(source: TextSource): Promise<Texts> {
    if (isNothing(source)) {
      const { file } = source.config
      const contents = { tokens: undefined, hasTemplate: false, templateFile: file }
      return new Texts(undefined, { ...contents, eosTokenIds: [] })
    }
    const service = await startService(source)
    return new Texts(service, await service.call({ kind: 'contents' }))
  }

  /**
   * @internal The same where it is known already what parsing finds: the thread parses on its own, and what is broken
   * fails the calls that need it.
   */
  static async parsed(source: TextSource, contents: TextContents): Promise<Texts> {
    if (isNothing(source)) return await Texts.open(source)
    const service = await startService(source)
    void service.call({ kind: 'contents' }).catch(() => {})
    return new Texts(service, contents)
  }

  /**
   * The files of a folder in the Hugging Face layout that say the same; also where they come from a GGUF file, whose
   * vocabulary takes some time to write so.
   *
   * @throws FormatError, DeadlineError
   */
  async files(): Promise<TextFiles> {
    return (await this.#service?.call({ kind: 'files' })) ?? {}
  }

  /** @internal Lets the thread end no later than the pool. */
  endWith(pool: Pool): void {
    if (this.#service !== undefined) pool.attach(this.#service)
  }

  /** Ends the thread, and what it was asked for. */
  async close(): Promise<void> {
    await this.end(new DisposedError('the texts'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * @internal Ends the thread, but for calls that come all the same. Those that wait are rejected with `reason`. Resolves once
   * it is gone.
   */
  async end(reason: DotpoolError): Promise<void> {
    await this.#service?.end(reason)
  }
}

function isNothing(source: TextSource): source is TextSource & { format: 'json' } {
  if (source.format === 'gguf') return false
  const { tokenizer, config, template } = source
  return tokenizer === undefined && config.bytes === undefined && template === undefined
}
