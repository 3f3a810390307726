import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Thinking } from '#server/text/thinking.js'

/** What the model thinks and says, of a text that comes in these pieces. */
function split(pieces: readonly string[], hasBegun = false) {
  const thinking = new Thinking(hasBegun)
  const parts = [...pieces.map((piece) => thinking.push(piece)), thinking.end()]
  return {
    reasoning: parts.map(({ reasoning }) => reasoning).join(''),
    content: parts.map(({ content }) => content).join(''),
  }
}

describe('thinking', () => {
  it('is told from the answer, character by character', () => {
    const text = '<think>\nIt is < 5.\n</think>\n\nYes.\n'
    const expected = { reasoning: 'It is < 5.', content: 'Yes.\n' }
    expect(split([...text])).toEqual(expected)
    expect(split([text])).toEqual(expected)
    expect(split([...text.slice('<think>'.length)], true)).toEqual(expected)
  })

  it('may not come to an end', () => {
    expect(split(['<think>so', ' </thi'])).toEqual({ reasoning: 'so </thi', content: '' })
    expect(split(['<thi'])).toEqual({ reasoning: '', content: '<thi' })
  })

  it('is not there in a text that begins otherwise', () => {
    for (const text of ['', ' ', ' a <think>b</think>', '</think>', '<thinking>']) {
      expect(split([...text])).toEqual({ reasoning: '', content: text })
    }
  })

  it('does not depend on where the text is cut', () => {
    const part = fc.constantFrom('<think>', '</think>', '<th', '</', ' ', '\n', 'a', '<')
    fc.assert(
      fc.property(fc.array(part), fc.boolean(), (parts, hasBegun) => {
        const text = parts.join('')
        expect(split([...text], hasBegun)).toEqual(split([text], hasBegun))
        expect(split(parts, hasBegun)).toEqual(split([text], hasBegun))
      }),
      { numRuns: 1000 },
    )
  })
})
