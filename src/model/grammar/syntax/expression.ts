/** Which texts a grammar admits, as a tree whose rules may refer to each other. */
export type Expression =
  | { readonly kind: 'text'; readonly text: string }
  /** One code point of these. */
  | { readonly kind: 'characters'; readonly ranges: readonly CodePoints[] }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  /** `max` may be Infinity. */
  | {
      readonly kind: 'repeat'
      readonly body: Expression
      readonly min: number
      readonly max: number
    }
  | { readonly kind: 'rule'; readonly rule: Rule }

/** Code points from the first to the last. */
export type CodePoints = readonly [first: number, last: number]

/** An expression with a name, by which others, and it itself, may refer to it. */
export class Rule {
  readonly name: string
  /** Set before the grammar is used. */
  body: Expression = empty

  constructor(name: string) {
    this.name = name
  }
}

export const empty: Expression = { kind: 'text', text: '' }

/** Nothing at all, not even the empty text. */
export const never: Expression = { kind: 'choice', options: [] }

export const text = (text: string): Expression => ({ kind: 'text', text })

export const sequence = (...parts: readonly Expression[]): Expression => ({
  kind: 'sequence',
  parts,
})

export const choice = (options: readonly Expression[]): Expression => ({ kind: 'choice', options })

export const optional = (body: Expression): Expression => repeat(body, 0, 1)

export const repeat = (body: Expression, min: number, max: number): Expression => ({
  kind: 'repeat',
  body,
  min,
  max,
})

export const ruleOf = (rule: Rule): Expression => ({ kind: 'rule', rule })

export const characters = (...ranges: readonly CodePoints[]): Expression => ({
  kind: 'characters',
  ranges,
})

/** The characters of a text, any of them. */
export function anyOf(text: string): Expression {
  const points = [...text].map((character) => character.codePointAt(0) as number)
  return characters(...points.map((point): CodePoints => [point, point]))
}

const LAST = 0x10ffff

/** Sorted, without overlaps. Surrogates are left out: no UTF-8 spells them. */
export function normalise(ranges: readonly CodePoints[]): CodePoints[] {
  const sorted = [...ranges].sort(([a], [b]) => a - b)
  const joined: [number, number][] = []
  for (const [first, last] of sorted) {
    const before = joined.at(-1)
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else joined.push([first, last])
  }
  return intersect(joined, [
    [0, 0xd7ff],
    [0xe000, LAST],
  ])
}

/** Of ranges that are sorted. */
export function complement(ranges: readonly CodePoints[]): CodePoints[] {
  const gaps: CodePoints[] = []
  let next = 0
  for (const [first, last] of ranges) {
    if (first > next) gaps.push([next, first - 1])
    next = Math.max(next, last + 1)
  }
  if (next <= LAST) gaps.push([next, LAST])
  return normalise(gaps)
}

export function intersect(a: readonly CodePoints[], b: readonly CodePoints[]): CodePoints[] {
  return a.flatMap(([first, last]) =>
    b
      .filter(([start, end]) => start <= last && end >= first)
      .map(([start, end]): CodePoints => [Math.max(first, start), Math.min(last, end)]),
  )
}
