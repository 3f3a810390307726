import { type AST, RegExpParser, RegExpSyntaxError } from '@eslint-community/regexpp'
import { ArgumentError, describe } from '../../../errors.js'
import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  normalise,
  repeat,
  sequence,
} from './expression.js'

/** UTF-16 units of a regular expression. */
const MAX_LENGTH = 10_000

export interface RegexOptions {
  /** What the caller knows it by. */
  readonly argument: string
  /** How one of some characters is spelled. */
  readonly spell: (ranges: readonly CodePoints[]) => Expression
  /** Any text, where the expression may match a part of it; undefined where it is to match the whole. */
  readonly around: Expression | undefined
}

/**
 * Texts that match a regular expression of ECMAScript.
 *
 * @throws ArgumentError for one that is not valid, or has what a grammar cannot: lookaround, word boundaries, back
 *   references, and `^` and `$` elsewhere than at the ends
 */
export function regexExpression(regex: string, options: RegexOptions): Expression {
  const { argument } = options
  if (regex.length > MAX_LENGTH) {
    throw new ArgumentError(argument, `at most ${MAX_LENGTH} characters`, `${regex.length}`)
  }
  const writer = new RegexWriter(regex, options)
  return choice(parse(argument, regex).alternatives.map((alternative) => writer.whole(alternative)))
}

/** With the flag u if it is valid so, as JSON Schema has it; expressions of other languages may need to do without. */
function parse(argument: string, regex: string): AST.Pattern {
  const parser = new RegExpParser({ ecmaVersion: 2025 })
  for (const unicode of [true, false]) {
    try {
      return parser.parsePattern(regex, 0, regex.length, { unicode })
    } catch (error) {
      if (unicode && error instanceof RegExpSyntaxError) continue
      // parentheses may be nested too deeply
      const problem = error instanceof RangeError ? 'one that is nested too deeply' : message(error)
      throw new ArgumentError(argument, 'a regular expression', `${describe(regex)}: ${problem}`)
    }
  }
  throw new ArgumentError(argument, 'a regular expression', describe(regex))
}

const message = (error: unknown) => (error as Error).message

class RegexWriter {
  readonly #regex: string
  readonly #options: RegexOptions

  constructor(regex: string, options: RegexOptions) {
    this.#regex = regex
    this.#options = options
  }

  /** An alternative at the top, which may say where the text begins and ends. */
  whole({ elements }: AST.Alternative): Expression {
    const { around } = this.#options
    const begins = elements[0] !== undefined && isEdge(elements[0], 'start')
    const last = elements.at(-1)
    const ends = last !== undefined && isEdge(last, 'end')
    const inner = elements.slice(begins ? 1 : 0, ends ? -1 : undefined)
    return sequence(
      ...(begins || around === undefined ? [] : [around]),
      ...inner.map((element) => this.#element(element)),
      ...(ends || around === undefined ? [] : [around]),
    )
  }

  #choice(alternatives: readonly AST.Alternative[]): Expression {
    return choice(
      alternatives.map(({ elements }) => {
        return sequence(...elements.map((element) => this.#element(element)))
      }),
    )
  }

  #element(element: AST.Element): Expression {
    switch (element.type) {
      case 'Character':
      case 'CharacterSet':
      case 'CharacterClass':
        return this.#options.spell(normalise(this.#ranges(element)))
      case 'CapturingGroup':
        return this.#choice(element.alternatives)
      case 'Group':
        if (element.modifiers !== null) throw this.#refusal('flags of a group', element)
        return this.#choice(element.alternatives)
      case 'Quantifier':
        return repeat(this.#element(element.element), element.min, element.max)
      case 'Assertion':
        throw this.#refusal(assertions[element.kind], element)
      default:
        throw this.#refusal('back references', element)
    }
  }

  #ranges(element: AST.Element | AST.CharacterClassElement): CodePoints[] {
    switch (element.type) {
      case 'Character':
        return [[element.value, element.value]]
      case 'CharacterClassRange':
        return [[element.min.value, element.max.value]]
      case 'CharacterClass': {
        const ranges = normalise(element.elements.flatMap((inner) => this.#ranges(inner)))
        return element.negate ? complement(ranges) : ranges
      }
      case 'CharacterSet': {
        if (element.kind === 'any') return complement(normalise(newLines))
        const ranges = element.kind === 'property' ? propertyRanges(element) : sets[element.kind]
        return element.negate ? complement(normalise(ranges)) : [...ranges]
      }
      default:
        throw this.#refusal('classes of strings', element)
    }
  }

  #refusal(what: string, { start, end }: AST.Node): ArgumentError {
    const got = describe(this.#regex.slice(start, end))
    return new ArgumentError(this.#options.argument, `a regular expression without ${what}`, got)
  }
}

function isEdge(element: AST.Element, kind: 'start' | 'end'): boolean {
  return element.type === 'Assertion' && element.kind === kind
}

const assertions: Record<AST.Assertion['kind'], string> = {
  start: '^ elsewhere than at its beginning',
  end: '$ elsewhere than at its end',
  word: 'word boundaries',
  lookahead: 'lookahead',
  lookbehind: 'lookbehind',
}

const newLines: readonly CodePoints[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]

const sets: Record<'digit' | 'space' | 'word', readonly CodePoints[]> = {
  digit: [[0x30, 0x39]],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
    [0xa0, 0xa0],
    [0x1680, 0x1680],
    [0x2000, 0x200a],
    [0x2028, 0x2029],
    [0x202f, 0x202f],
    [0x205f, 0x205f],
    [0x3000, 0x3000],
    [0xfeff, 0xfeff],
  ],
  word: [
    [0x30, 0x39],
    [0x41, 0x5a],
    [0x5f, 0x5f],
    [0x61, 0x7a],
  ],
}

let allCharacters: string | undefined
const knownProperties = new Map<string, CodePoints[]>()

/** What Node.js finds to have a property, such as `\p{Letter}`. */
function propertyRanges({ key, value }: AST.UnicodePropertyCharacterSet): CodePoints[] {
  const name = value === null ? key : `${key}=${value}`
  const known = knownProperties.get(name)
  if (known !== undefined) return known
  allCharacters ??= Array.from({ length: 0x110000 - 0x800 }, (_, i) =>
    String.fromCodePoint(i < 0xd800 ? i : i + 0x800),
  ).join('')
  const runs = allCharacters.matchAll(new RegExp(`\\p{${name}}+`, 'gu'))
  const ranges = Array.from(runs, ({ 0: run }): CodePoints => {
    const last = run.codePointAt(run.length - 2) ?? 0
    const end = last > 0xffff ? last : (run.codePointAt(run.length - 1) as number)
    return [run.codePointAt(0) as number, end]
  })
  knownProperties.set(name, ranges)
  return ranges
}

/** One of some characters as it is. */
export const plainly = (ranges: readonly CodePoints[]): Expression => characters(...ranges)
