/** Finds the end of a JSON object in a text that comes in pieces and begins with its brace. */
export class ObjectScanner {
  #depth = 0
  #isInString = false
  #isEscaped = false

  /**
   * Where the object ends in a further piece; undefined if it goes on. A `<` outside of strings ends it, too: no JSON
   * has one there, so it is the tag behind an object that lacks a brace.
   */
  end(piece: string): number | undefined {
    for (let i = 0; i < piece.length; i++) {
      const character = piece[i]
      if (this.#isInString) this.#stepInString(character)
      else if (character === '"') this.#isInString = true
      else if (character === '<') return i
      else if (character === '{' || character === '[') this.#depth++
      else if (character === '}' || character === ']') {
        this.#depth--
        if (this.#depth === 0) return i + 1
      }
    }
    return undefined
  }

  #stepInString(character: string): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (character === '\\') this.#isEscaped = true
    else if (character === '"') this.#isInString = false
  }
}
