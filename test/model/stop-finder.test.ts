import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StopFinder } from '#src/model/text/stop-finder.js'

function run(stops: string[], pieces: string[]): { given: string[]; found: boolean } {
  const finder = new StopFinder(stops)
  const given: string[] = []
  for (const piece of pieces) {
    given.push(finder.push(piece))
    if (finder.found) break
  }
  return { given: [...given, finder.end()], found: finder.found }
}

describe('StopFinder', () => {
  it('holds back what may begin a stop string, and only that', () => {
    expect(run(['end'], ['the e', 'nd of'])).toEqual({ given: ['the ', '', ''], found: true })
    expect(run(['end'], ['the e', 'n', 'emy'])).toEqual({
      given: ['the ', '', 'enemy', ''],
      found: false,
    })
    expect(run(['end'], ['the en'])).toEqual({ given: ['the ', 'en'], found: false })
    expect(run([], ['a', 'b'])).toEqual({ given: ['a', 'b', ''], found: false })
  })

  it('ends at the stop string that is complete first', () => {
    expect(run(['b', 'abc'], ['xabc']).given.join('')).toBe('xa')
    expect(run(['bc', 'abc'], ['xabc']).given.join('')).toBe('x')
  })

  it('finds the same however the text is divided', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 })
    const stop = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(stop), fc.array(text), (stops, pieces) => {
        const cut = run(stops, pieces)
        const whole = run(stops, [pieces.join('')])
        expect(cut.given.join('')).toBe(whole.given.join(''))
        expect(cut.found).toBe(whole.found)
        expect(stops.some((s) => cut.given.join('').includes(s))).toBe(false)
      }),
    )
  })

  /** Includes emoji that begin with the same half of a surrogate pair. */
  const unit = fc.constantFrom('a', 'b', '😀', '😁')
  const units = fc.array(fc.string({ unit, maxLength: 6 }), { maxLength: 8 })
  const someStops = fc.array(fc.string({ unit, minLength: 1, maxLength: 4 }), { maxLength: 3 })

  it('ends the text before the stop string that a reader would see first', () => {
    fc.assert(
      fc.property(someStops, units, (stops, pieces) => {
        const { given, found } = run(stops, pieces)
        const expected = readUntilStop(stops, pieces.join(''))
        expect({ text: given.join(''), found }).toEqual(expected)
        expect(given.every((piece) => !/\p{Surrogate}/u.test(piece))).toBe(true)
      }),
    )
  })

  it('returns a piece at once, except what begins a stop string', () => {
    fc.assert(
      fc.property(someStops, units, (stops, pieces) => {
        const finder = new StopFinder(stops)
        let text = ''
        let given = ''
        for (const piece of pieces) {
          text += piece
          given += finder.push(piece)
          if (finder.found) return
          const held = text.slice(given.length)
          expect(text).toBe(given + held)
          expect(held === '' || stops.some((stop) => stop.startsWith(held))).toBe(true)
        }
      }),
    )
  })
})

/** Reads character by character until the text ends in a stop string, the longest of several. */
function readUntilStop(stops: string[], text: string): { text: string; found: boolean } {
  for (let end = 0; end <= text.length; end++) {
    const read = text.slice(0, end)
    const lengths = stops.filter((stop) => read.endsWith(stop)).map((stop) => stop.length)
    if (lengths.length > 0) {
      return { text: read.slice(0, end - Math.max(...lengths)), found: true }
    }
  }
  return { text, found: false }
}
