import {
  anyOf,
  type CodePoints,
  characters,
  choice,
  type Expression,
  intersect,
  normalise,
  optional,
  Rule,
  repeat,
  ruleOf,
  sequence,
  text,
} from './expression.js'

/*
 * JSON as models write it: white space where people have it, and not without end; numbers that a float64 holds; escapes
 * of no half surrogate pairs, which would be no characters.
 */

/** The most digits before the point, and behind it: as many as a float64 tells apart. */
export const MAX_DIGITS = 15

export const digit = characters([0x30, 0x39])

/** Characters that stand for themselves in a string. */
const plain: readonly CodePoints[] = normalise([
  [0x20, 0x21],
  [0x23, 0x5b],
  [0x5d, 0x10ffff],
])
const hex = characters([0x30, 0x39], [0x41, 0x46], [0x61, 0x66])
const escapeSequence = sequence(
  text('\\'),
  choice([
    anyOf('"\\/bfnrt'),
    sequence(
      text('u'),
      choice([
        sequence(characters([0x30, 0x39], [0x41, 0x43], [0x61, 0x63]), hex),
        sequence(anyOf('dD'), characters([0x30, 0x37])),
        sequence(anyOf('eEfF'), hex),
      ]),
      hex,
      hex,
    ),
  ]),
)

/** Any character of a string. */
export const stringCharacter = choice([characters(...plain), escapeSequence])

/** One of these characters, as a string spells it. */
export function inString(ranges: readonly CodePoints[]): Expression {
  const escaped = [...intersect(ranges, [[0, 0x1f]]), ...intersect(ranges, specials)].flatMap(
    ([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i),
  )
  const spellings = escaped.map((point) => {
    return text(JSON.stringify(String.fromCodePoint(point)).slice(1, -1))
  })
  return choice([characters(...intersect(ranges, plain)), ...spellings])
}

const specials: readonly CodePoints[] = [
  [0x22, 0x22],
  [0x5c, 0x5c],
]

export const quote = text('"')

export const anyString = sequence(quote, repeat(stringCharacter, 0, Infinity), quote)

/** A key that is none of these, without escapes, so that it cannot be one of them in disguise. */
export function keyWithout(names: readonly string[]): Expression {
  return sequence(quote, keyRest(names))
}

function keyRest(names: readonly string[]): Expression {
  const groups = new Map<string, string[]>()
  for (const name of names.filter((name) => name !== '')) {
    const [head] = name
    const group = groups.get(head)
    if (group === undefined) groups.set(head, [name.slice(head.length)])
    else group.push(name.slice(head.length))
  }
  const heads = [...groups.keys()].map((head) => head.codePointAt(0) as number)
  const others = plain.flatMap((range) => except(range, heads))
  return choice([
    ...(names.includes('') ? [] : [quote]),
    sequence(characters(...others), repeat(characters(...plain), 0, Infinity), quote),
    ...[...groups]
      .filter(([head]) => intersect(plain, [pointRange(head)]).length > 0)
      .map(([head, rests]) => sequence(text(head), keyRest(rests))),
  ])
}

function pointRange(character: string): CodePoints {
  const point = character.codePointAt(0) as number
  return [point, point]
}

function except(range: CodePoints, points: readonly number[]): CodePoints[] {
  const cuts = points.filter((point) => range[0] <= point && point <= range[1])
  let [next, last] = range
  const parts: CodePoints[] = []
  for (const point of cuts.sort((a, b) => a - b)) {
    if (next < point) parts.push([next, point - 1])
    next = point + 1
  }
  if (next <= last) parts.push([next, last])
  return parts
}

const integerPart = choice([
  text('0'),
  sequence(characters([0x31, 0x39]), repeat(digit, 0, MAX_DIGITS - 1)),
])
export const anyInteger = sequence(optional(text('-')), integerPart)
export const anyNumber = sequence(
  anyInteger,
  optional(sequence(text('.'), repeat(digit, 1, MAX_DIGITS))),
  optional(sequence(anyOf('eE'), optional(anyOf('+-')), repeat(digit, 1, 2))),
)
export const anyBoolean = choice([text('true'), text('false')])

/** White space between the parts of arrays and objects: none, a space, or a new line with some indentation. */
const gap = choice([text(''), text(' '), sequence(text('\n'), repeat(anyOf(' \t'), 0, 16))])
const gapRule = new Rule('space')
gapRule.body = gap
export const space = ruleOf(gapRule)

export const comma = sequence(text(','), space)

/** What stands in an array or an object. */
export const inBrackets = (open: string, items: Expression, close: string): Expression =>
  sequence(text(open), space, items, text(close))

export const member = (key: Expression, value: Expression): Expression =>
  sequence(key, text(':'), space, value)

/** Items with commas between; `space` behind the last. */
export function list(item: Expression, min: number, max: number): Expression {
  if (max === 0) return text('')
  const more = repeat(sequence(comma, item), Math.max(0, min - 1), max - 1)
  const items = sequence(item, more, space)
  return min === 0 ? optional(items) : items
}

const value = new Rule('JSON value')
export const anyValue = ruleOf(value)
export const anyArray = inBrackets('[', list(anyValue, 0, Infinity), ']')
export const anyObject = inBrackets('{', list(member(anyString, anyValue), 0, Infinity), '}')
value.body = choice([anyObject, anyArray, anyString, anyNumber, anyBoolean, text('null')])
