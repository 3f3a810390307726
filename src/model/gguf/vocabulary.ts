import { FormatError } from '../../errors.js'
import type { Metadata } from './metadata.js'

/** The format's numbers of token kinds. */
export const TokenKind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 }

/** Tokens that end a text or a turn: files often name only one of them. */
const endings = new Set([
  '</s>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<end_of_turn>',
  '<EOT>',
])

/** Tokens of roles that SentencePiece files may leave out. */
const llamaDefaults = new Map([
  ['unknown', 0],
  ['bos', 1],
  ['eos', 2],
])

export interface SpecialToken {
  readonly id: number
  readonly token: string
}

/** The tokens of a GGUF file, from its metadata. */
export class Vocabulary {
  readonly metadata: Metadata
  readonly tokens: readonly string[]
  readonly #kinds: ArrayLike<number> | undefined
  readonly #defaults: ReadonlyMap<string, number>

  /** @throws FormatError if there are none, one occurs twice, or the number of kinds differs */
  constructor(metadata: Metadata) {
    const key = 'tokenizer.ggml.tokens'
    const { file } = metadata
    this.metadata = metadata
    // an empty token spells nothing, and there may be several
    this.tokens = metadata.texts(key).map((token, id) => token || `[EMPTY_${id}]`)
    this.#defaults = metadata.text('tokenizer.ggml.model') === 'llama' ? llamaDefaults : new Map()
    this.#kinds = metadata.numbers('tokenizer.ggml.token_type')
    if (this.tokens.length === 0) throw new FormatError(file, `${key} has no tokens`)
    if (new Set(this.tokens).size !== this.tokens.length) {
      throw new FormatError(file, `${key} has a token twice`)
    }
    this.#checkLength('tokenizer.ggml.token_type', this.#kinds)
  }

  kindOf(id: number): number {
    return this.#kinds?.[id] ?? TokenKind.normal
  }

  /** The scores of the tokens; 0 where there are none. */
  scores(): ArrayLike<number> {
    const key = 'tokenizer.ggml.scores'
    const scores = this.metadata.numbers(key)
    this.#checkLength(key, scores)
    return scores ?? new Float32Array(this.tokens.length)
  }

  /**
   * The token of a role.
   *
   * @param role such as `bos`
   * @returns undefined where there is none
   * @throws FormatError if it is not a token
   */
  special(role: string): SpecialToken | undefined {
    const key = `tokenizer.ggml.${role}_token_id`
    const byDefault = this.#defaults.get(role)
    if (!this.metadata.has(key) && byDefault === undefined) return undefined
    const id = this.metadata.integer(key, 0, byDefault)
    if (id < this.tokens.length) return { id, token: this.tokens[id] }
    throw new FormatError(
      this.metadata.file,
      `${key} ${id}: there are ${this.tokens.length} tokens`,
    )
  }

  /** End-of-sequence tokens. */
  eosTokenIds(): number[] {
    const named = ['eos', 'eot', 'eom'].map((role) => this.special(role)?.id)
    const others = this.tokens.map((token, id) =>
      endings.has(token) && this.kindOf(id) === TokenKind.control ? id : undefined,
    )
    return [...new Set([...named, ...others])].filter((id) => id !== undefined)
  }

  #checkLength(key: string, list: ArrayLike<number> | undefined): void {
    if (list === undefined || list.length === this.tokens.length) return
    const problem = `${key} has ${list.length} elements for ${this.tokens.length} tokens`
    throw new FormatError(this.metadata.file, problem)
  }
}
