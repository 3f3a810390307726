import { checkInteger } from '../../errors.js'

/**
 * Turns tokens' bytes into text as they come. A code point whose bytes are not all there waits for
 * the rest; bytes that cannot become one give U+FFFD, as in TextDecoder.
 */
export class TextStream {
  readonly #bytesOf: (id: number) => Uint8Array
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #dropSpace: boolean

  /**
   * @param bytesOf the UTF-8 bytes of a token; none for one that stands for no text
   * @param dropsFirstSpace the whole text loses one leading space
   */
  constructor(bytesOf: (id: number) => Uint8Array, dropsFirstSpace: boolean) {
    this.#bytesOf = bytesOf
    this.#dropSpace = dropsFirstSpace
  }

  /**
   * The text that `id` completes; whole code points, maybe none.
   *
   * @throws ArgumentError for what can be no id
   */
  push(id: number): string {
    checkInteger('id', id, 0, 2 ** 32 - 1)
    const bytes = this.#bytesOf(id)
    if (bytes.byteLength === 0) return ''
    return this.#trim(this.#decoder.decode(bytes, { stream: true }))
  }

  /** Ends the text. An unfinished code point gives U+FFFD. */
  end(): string {
    return this.#trim(this.#decoder.decode())
  }

  #trim(text: string): string {
    if (!this.#dropSpace || text === '') return text
    this.#dropSpace = false
    return text.startsWith(' ') ? text.slice(1) : text
  }
}
