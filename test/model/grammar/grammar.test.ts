import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '#src/model/generation/random.js'
import type { ResponseFormat } from '#src/model/grammar/response-format.js'
import { admits, behind, bytesOf, compile, END, tokensOf, trie, walk } from './walk.js'

const regex = (regex: string): ResponseFormat => ({ type: 'regex', regex })
const grammar = (grammar: string): ResponseFormat => ({ type: 'grammar', grammar })
const refusal = (format: ResponseFormat): string => {
  try {
    compile(format)
    return 'taken'
  } catch (error) {
    return (error as Error).message
  }
}

const regexes = [
  '[a-c]+x?',
  '(foo|bar){2,3}',
  '\\d{3}-\\d{4}',
  '[^a-z]{1,2}',
  'a.b',
  '(a|ab)(c|bcd)*',
  '\\w+@\\w+\\.(com|org)',
  '[\\s\\S]{0,3}',
  '^(yes|no)$',
  'é[ö-ü]?|😀+',
  '\\p{Script=Greek}{1,3}',
  '(?:)|(a*)*b',
  '\\x41\\u{1F600}?',
]

describe('the tokens that may follow', () => {
  it('are those whose bytes the grammar admits', () => {
    fc.assert(
      fc.property(fc.constantFrom(...regexes), fc.integer(), (pattern, seed) => {
        const machine = compile(regex(pattern))
        const text = walk(machine, seededRandom(seed), 20) ?? ''
        const begun = Buffer.from(text).subarray(0, Math.abs(seed) % (text.length + 1))
        const state = behind(machine, begun)
        if (state === null) throw new Error(`${text} does not begin as itself`)
        const allowed = Array.from({ length: 2048 }, (_, token) => token).filter((token) => {
          if (token === END) return state.isComplete
          const bytes = Buffer.concat([begun, bytesOf(token)])
          return bytesOf(token).length > 0 && behind(machine, bytes) !== null
        })
        expect(tokensOf(trie.mask(state))).toEqual(allowed)
      }),
      { numRuns: 15 },
    )
  })
})

describe('a regular expression', () => {
  it('admits only what it matches as a whole', () => {
    fc.assert(
      fc.property(fc.constantFrom(...regexes), fc.integer(), (pattern, seed) => {
        const text = walk(compile(regex(pattern)), seededRandom(seed), 60)
        if (text !== undefined) expect(text).toMatch(new RegExp(`^(?:${pattern})$`, 'u'))
      }),
      { numRuns: 60 },
    )
  })

  it('admits what it matches, and nothing else', () => {
    expect(admits(regex('(foo|bar){2,3}'), 'foobarfoo')).toBe(true)
    expect(admits(regex('(foo|bar){2,3}'), 'foo')).toBe(false)
    expect(admits(regex('[^a-z]'), '😀')).toBe(true)
    expect(admits(regex('[^a-z]'), 'q')).toBe(false)
    expect(admits(regex('a-\\-b'), 'a--b')).toBe(true)
  })

  it('is refused where it is none, or has what a grammar cannot', () => {
    const cases: Record<string, RegExp> = {
      '(a': /regular expression, got "\(a": .*Unterminated group/,
      'a(?!b)': /without lookahead, got "\(\?!b\)"/,
      '(?<=a)b': /without lookbehind/,
      '\\bword': /without word boundaries/,
      '(a)\\1': /without back references/,
      'a^b': /without \^ elsewhere than at its beginning/,
      [`${'('.repeat(4000)}a${')'.repeat(4000)}`]: /taken|nested too deeply/,
      ['a'.repeat(10_001)]: /at most 10000 characters/,
    }
    for (const [pattern, message] of Object.entries(cases)) {
      expect(refusal(regex(pattern))).toMatch(message)
    }
  })
})

describe('a grammar', () => {
  it('admits what its root does', () => {
    const list = grammar(`
      # a list of pairs
      root ::= "[" (pair ("," ws pair)*)? "]"
      pair ::= key ws "=" ws [0-9]{1,3}   # at most three digits
      key  ::= [a-z_] [a-zA-Z0-9_-]*
      ws   ::= [ \\t]*
    `)
    expect(admits(list, '[a=1, b_c =  22,d=333]')).toBe(true)
    expect(admits(list, '[]')).toBe(true)
    expect(admits(list, '[a=1234]')).toBe(false)
    expect(admits(list, '[a=1,]')).toBe(false)
  })

  it('may refer to itself', () => {
    const nested = grammar('root ::= "(" root ")" | "x" root? | [^()x\\]\\u00e9-\\u00ff]')
    for (const text of ['((x))', 'x(a)', '((((é))))'.replace('é', 'ā')]) {
      expect(admits(nested, text)).toBe(true)
    }
    for (const text of ['((x)', 'é', ']', '']) expect(admits(nested, text)).toBe(false)
  })

  it('may be ambiguous', () => {
    const twice = grammar('root ::= words words\nwords ::= ("a" | "b" | "ab")*')
    expect(admits(twice, 'abab'.repeat(50))).toBe(true)
    expect(admits(twice, 'abc')).toBe(false)
  })

  it('is refused with the place where it is wrong', () => {
    const cases: Record<string, RegExp> = {
      '': /responseFormat.grammar: expected a text that is not empty/,
      'x ::= "a"': /expected a rule named root, got none at line 1, column 10/,
      'root ::= a': /expected a rule named a, got none at line 1, column 10/,
      'root ::= "a': /expected ", got the end at line 1, column 12/,
      'root ::= "a"\nroot ::= "b"': /expected each rule once, got root again at line 2, column 1/,
      'root ::= ("a"': /expected \), got the end/,
      'root ::= [z-a]': /expected a range that ascends/,
      'root ::= "\\xZZ"': /expected an escape/,
      'root ::= "a"{3,2}': /m at least n/,
      'root ::= "a" )': /expected the name of a rule, got "\)"/,
      'root = "a"': /expected ::=/,
      'root ::= root "a" | "b"': /begin with themselves: repeat by \* or \+, got the rule root/,
      'root ::= a "x"\na ::= ("y")* b\nb ::= root | "z"': /begin with themselves/,
      'root ::= "a" root': /finite length/,
      'root ::= [a-z]{0,999999999}': /at most 100000 states/,
      [`root ::= ${'('.repeat(500)}"a"${')'.repeat(500)}`]: /at most 100 parentheses/,
      [`root ::= "${'a'.repeat(1 << 19)}"`]: /at most 262144 characters/,
    }
    for (const [text, message] of Object.entries(cases)) {
      expect(refusal(grammar(text))).toMatch(message)
    }
  })

  it('is refused while it is followed where there are too many ways to read a text', () => {
    const either = grammar('root ::= "x" root "y" | "x" root "z" | ""')
    expect(admits(either, 'xxxyzy')).toBe(true)
    expect(() => behind(compile(either), 'x'.repeat(30))).toThrow(/too ambiguous/)
  })
})

describe('formats', () => {
  it('can be put together', () => {
    const format: ResponseFormat = {
      type: 'sequence',
      formats: [
        { type: 'text', without: '</think>' },
        { type: 'choice', choices: ['</think>'] },
        {
          type: 'repeat',
          min: 1,
          max: 2,
          format: { type: 'any_of', formats: [{ type: 'json_object' }, regex('\\d')] },
        },
      ],
    }
    expect(admits(format, 'a <b> </thin </</think>{"a": 1}7')).toBe(true)
    expect(admits(format, '</think>7')).toBe(true)
    expect(admits(format, '</think></think>7')).toBe(false)
    expect(admits(format, '</think>')).toBe(false)
    expect(admits(format, '</think>123')).toBe(false)
  })

  it('of text without a mark admits all that does not contain it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('aab', 'abab', '</x>', 'aaa', 'é'),
        fc.string({ unit: fc.constantFrom('a', 'b', '<', '/', 'x', '>', 'é') }),
        (without, text) => {
          expect(admits({ type: 'text', without }, text)).toBe(!text.includes(without))
        },
      ),
    )
  })

  it('of choices admits these', () => {
    const format: ResponseFormat = { type: 'choice', choices: ['yes', 'yes, but', 'no'] }
    expect(['yes', 'yes, but', 'no'].every((text) => admits(format, text))).toBe(true)
    expect(['', 'ye', 'yes,', 'nono'].some((text) => admits(format, text))).toBe(false)
  })
})

it('states are forgotten where there are too many, and found again', () => {
  const machine = compile(grammar('root ::= "(" root ")" | [a-z]'))
  const text = '('.repeat(21_000)
  let state = machine.begin()
  for (const byte of new TextEncoder().encode(text)) {
    state = machine.resume(state).step(byte) as typeof state
  }
  expect(machine.generation).toBeGreaterThan(0)
  for (const byte of new TextEncoder().encode(`x${')'.repeat(21_000)}`)) {
    if (state.isComplete) throw new Error('it may end too early')
    state = machine.resume(state).step(byte) as typeof state
  }
  expect(state.isComplete).toBe(true)
})
