import {
  ArgumentError,
  checkBoolean,
  checkInteger,
  checkList,
  checkSignal,
  describe,
} from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { TextStream } from './text-stream.js'
import type { TextService } from './thread/service.js'
import { TokenTable, type TokenTableData } from './token-table.js'

export interface EncodeOptions {
  /**
   * Puts the special ids around the text that the tokenizer has for it, such as one that begins it;
   * true by default. Text of a chat template spells its own.
   */
  addSpecialTokens?: boolean | undefined
}

export interface EncodeAsyncOptions extends EncodeOptions {
  /** Ends the wait; the call rejects with its reason. */
  signal?: AbortSignal | undefined
}

const encodeOptions: OptionNames<EncodeOptions> = { addSpecialTokens: checkBoolean }
const encodeAsyncOptions: OptionNames<EncodeAsyncOptions> = {
  ...encodeOptions,
  signal: checkSignal,
}

/** Text to ids and back, as a checkpoint's tokenizer.json says. Texts are tokenised in a thread of their own. */
export class Tokenizer {
  readonly #service: TextService
  readonly #table: TokenTable

  /** @internal */
  constructor(service: TextService, tokens: TokenTableData) {
    this.#service = service
    this.#table = new TokenTable(tokens)
  }

  /**
   * The ids of a text. Special tokens spelled out in it become their ids. Blocks until they are known, which
   * takes seconds for a megabyte: {@link Tokenizer.encodeAsync} is for long texts.
   *
   * @throws ArgumentError if `text` is no string, or the vocabulary cannot spell it; FormatError if the
   *   tokenizer fails; DeadlineError if its patterns do not come to an end
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addSpecialTokens } = checkOptions(options, encodeOptions)
    return Array.from(this.#service.callSync(encodeRequest(text, addSpecialTokens)))
  }

  /**
   * The same, while the event loop goes on.
   *
   * @throws also the signal's reason
   */
  async encodeAsync(
    text: string,
    options: EncodeAsyncOptions = {},
  ): Promise<Uint32Array<ArrayBuffer>> {
    const { addSpecialTokens, signal } = checkOptions(options, encodeAsyncOptions)
    return await this.#service.call(encodeRequest(text, addSpecialTokens), signal)
  }

  /**
   * The text of `ids`. Special ids, and ids without a token, stand for no text.
   *
   * @throws ArgumentError for what is no list of ids
   */
  decode(ids: ArrayLike<number>): string {
    const stream = this.stream()
    let text = ''
    const length = checkList('ids', ids)
    for (let i = 0; i < length; i++) text += stream.push(ids[i])
    return text + stream.end()
  }

  /**
   * Decodes ids one by one, each into the text it completes.
   *
   * @param context ids that came before; they give no text, but decide how the next ones read
   */
  stream(context: ArrayLike<number> = []): TextStream {
    const length = checkList('context', context)
    const stream = new TextStream((id) => this.#table.bytesOf(id), this.#table.dropsFirstSpace)
    for (let i = 0; i < length; i++) stream.push(context[i])
    return stream
  }

  /**
   * A copy of the UTF-8 bytes that a token stands for, which need not be whole code points: none for a special token,
   * and for one that there is not.
   *
   * @throws ArgumentError for what can be no token id
   */
  bytesOf(token: number): Uint8Array {
    checkInteger('token', token, 0, 2 ** 32 - 1)
    return this.#table.bytesOf(token).slice()
  }

  /** @internal What its tokens stand for. */
  get table(): TokenTableData {
    return this.#table.data
  }

  /** A text has no fewer tokens; told from its length alone. */
  leastTokens(text: string): number {
    return this.#table.leastTokens(text)
  }
}

function encodeRequest(text: unknown, addSpecialTokens = true) {
  if (typeof text !== 'string') throw new ArgumentError('text', 'a string', describe(text))
  return { kind: 'encode', text, addSpecialTokens } as const
}
