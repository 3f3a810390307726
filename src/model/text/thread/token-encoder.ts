import { Tokenizer } from '@huggingface/tokenizers'
import { ArgumentError, describe, FormatError } from '../../../errors.js'
import { isObject } from '../../json/fields.js'
import type { TokenTableData } from '../token-table.js'
import { parseDecoder, type TokenSpelling } from './token-bytes.js'
import { unitsPerToken } from './units-per-token.js'

/** Bounds the table of tokens, whatever ids a file gives them; the largest vocabularies have 262,144. */
const MAX_TOKENS = 1 << 20

/** A tokenizer.json, parsed. */
export class TokenEncoder {
  readonly #file: string
  readonly #tokenizer: Tokenizer
  readonly #spelling: TokenSpelling
  readonly #unitsPerToken: number

  private constructor(
    file: string,
    tokenizer: Tokenizer,
    spelling: TokenSpelling,
    unitsPerToken: number,
  ) {
    this.#file = file
    this.#tokenizer = tokenizer
    this.#spelling = spelling
    this.#unitsPerToken = unitsPerToken
  }

  /**
   * @param file named in errors
   * @param json the parsed tokenizer.json
   * @throws FormatError if it is not a tokenizer, or one of a kind that this version does not know
   */
  static parse(file: string, json: unknown): TokenEncoder {
    if (!isObject(json)) throw new FormatError(file, 'the file is not an object')
    const spelling = parseDecoder(file, json.decoder)
    try {
      const tokenizer = new Tokenizer(json, {})
      checkVocabulary(tokenizer)
      return new TokenEncoder(file, tokenizer, spelling, unitsPerToken(json, tokenizer))
    } catch (error) {
      throw new FormatError(file, (error as Error).message, { cause: error })
    }
  }

  /**
   * The ids of a text. Special tokens spelled out in it become their ids.
   *
   * @throws ArgumentError if the vocabulary cannot spell it; FormatError if the tokenizer fails, as one does whose
   *   parts are no more than named right
   */
  encode(text: string, addSpecialTokens: boolean): Uint32Array<ArrayBuffer> {
    const ids = this.#encode(text, addSpecialTokens)
    if (ids.includes(undefined)) {
      throw new ArgumentError('text', 'what the vocabulary can spell', describe(text))
    }
    return Uint32Array.from(ids as number[])
  }

  #encode(text: string, addSpecialTokens: boolean): (number | undefined)[] {
    try {
      return this.#tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids
    } catch (error) {
      const { message } = error as Error
      throw new FormatError(this.#file, `the tokenizer fails: ${message}`, { cause: error })
    }
  }

  /** What each token stands for; special ones for no text. */
  table(): TokenTableData {
    const added = [...this.#tokenizer.get_added_tokens_decoder().values()]
    const special = new Set(added.filter(({ special }) => special).map(({ id }) => id))
    const length = sizeOf(this.#tokenizer)
    const spelled = Array.from({ length }, (_, id) => {
      const token = this.#tokenizer.id_to_token(id)
      return token === undefined || special.has(id) ? nothing : this.#spelling.bytes(token)
    })
    const bytes = new Uint8Array(spelled.reduce((sum, { byteLength }) => sum + byteLength, 0))
    const ends = new Uint32Array(length)
    let end = 0
    for (const [id, token] of spelled.entries()) {
      bytes.set(token, end)
      end += token.byteLength
      ends[id] = end
    }
    const { dropsFirstSpace } = this.#spelling
    return { bytes, ends, dropsFirstSpace, unitsPerToken: this.#unitsPerToken }
  }
}

const nothing = new Uint8Array(0)

/** One more than the largest id. */
function sizeOf({ model }: Tokenizer): number {
  return model?.vocab.length ?? 0
}

/** The tokenizer itself takes whatever a file has as a token. */
function checkVocabulary(tokenizer: Tokenizer): void {
  const size = sizeOf(tokenizer)
  if (size > MAX_TOKENS) throw new Error(`a token with id ${size - 1}, above ${MAX_TOKENS - 1}`)
  for (let id = 0; id < size; id++) {
    const token: unknown = tokenizer.id_to_token(id)
    if (token === undefined || typeof token === 'string') continue
    throw new Error(`token ${id}: expected a text, got ${describe(token)}`)
  }
}
