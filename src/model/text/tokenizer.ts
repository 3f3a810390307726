import { Tokenizer as Encoder } from '@huggingface/tokenizers'
import { ArgumentError, checkBoolean, checkList, describe, FormatError } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { isObject } from '../json/fields.js'
import { TextStream } from './text-stream.js'
import { parseDecoder, type TokenSpelling } from './token-bytes.js'

const nothing = new Uint8Array(0)

export interface EncodeOptions {
  /**
   * Puts the special ids around the text that the tokenizer has for it, such as one that begins it;
   * true by default. Text of a chat template spells its own.
   */
  addSpecialTokens?: boolean | undefined
}

const encodeOptions: OptionNames<EncodeOptions> = { addSpecialTokens: checkBoolean }

/** Text to ids and back, as a checkpoint's tokenizer.json says. */
export class Tokenizer {
  readonly #encoder: Encoder
  readonly #spelling: TokenSpelling
  /** Ids that stand for no text. */
  readonly #special: ReadonlySet<number>
  readonly #bytes: Uint8Array[] = []

  private constructor(encoder: Encoder, spelling: TokenSpelling) {
    this.#encoder = encoder
    this.#spelling = spelling
    const added = [...encoder.get_added_tokens_decoder().values()]
    this.#special = new Set(added.filter(({ special }) => special).map(({ id }) => id))
  }

  /**
   * @param file named in errors
   * @param json the parsed tokenizer.json
   * @throws FormatError if it is not a tokenizer, or one of a kind that this version does not know
   */
  static parse(file: string, json: unknown): Tokenizer {
    if (!isObject(json)) throw new FormatError(file, 'the file is not an object')
    const spelling = parseDecoder(file, json.decoder)
    try {
      return new Tokenizer(new Encoder(json, {}), spelling)
    } catch (error) {
      throw new FormatError(file, (error as Error).message, { cause: error })
    }
  }

  /**
   * The ids of a text. Special tokens spelled out in it become their ids.
   *
   * @throws ArgumentError if `text` is no string, or the vocabulary cannot spell it
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addSpecialTokens = true } = checkOptions(options, encodeOptions)
    if (typeof text !== 'string') throw new ArgumentError('text', 'a string', describe(text))
    const encoding = this.#encoder.encode(text, { add_special_tokens: addSpecialTokens })
    const ids: (number | undefined)[] = encoding.ids
    if (ids.includes(undefined)) {
      throw new ArgumentError('text', 'what the vocabulary can spell', describe(text))
    }
    return ids as number[]
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
    const stream = new TextStream((id) => this.#bytesOf(id), this.#spelling.dropsFirstSpace)
    for (let i = 0; i < length; i++) stream.push(context[i])
    return stream
  }

  #bytesOf(id: number): Uint8Array {
    this.#bytes[id] ??= this.#spell(id)
    return this.#bytes[id]
  }

  #spell(id: number): Uint8Array {
    const token = this.#encoder.id_to_token(id)
    return token === undefined || this.#special.has(id) ? nothing : this.#spelling.bytes(token)
  }
}
