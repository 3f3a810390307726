import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StopFinder } from '#src/model/stop-finder.js'

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
  it('holds back what may begin a stop, and only that', () => {
    expect(run(['end'], ['the e', 'nd of'])).toEqual({ given: ['the ', '', ''], found: true })
    expect(run(['end'], ['the e', 'n', 'emy'])).toEqual({
      given: ['the ', '', 'enemy', ''],
      found: false,
    })
    expect(run(['end'], ['the en'])).toEqual({ given: ['the ', 'en'], found: false })
    expect(run([], ['a', 'b'])).toEqual({ given: ['a', 'b', ''], found: false })
  })

  it('ends at the stop that is complete first', () => {
    expect(run(['b', 'abc'], ['xabc']).given.join('')).toBe('xa')
    expect(run(['bc', 'abc'], ['xabc']).given.join('')).toBe('x')
  })

  it('finds the same however the text is cut', () => {
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
})
