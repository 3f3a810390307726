import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  empty,
  normalise,
  Rule,
  ruleOf,
  sequence,
  text,
} from './expression.js'

/** Any text that does not contain another one: the automaton of Knuth, Morris and Pratt, as rules. */
export function textWithout(excluded: string): Expression {
  const marks = [...excluded]
  const rules = marks.map((_, i) => new Rule(`text without ${excluded}, ${i}`))
  const alphabet = [...new Set(marks)]
  const others = complement(
    normalise(alphabet.map((mark): CodePoints => [codePoint(mark), codePoint(mark)])),
  )
  for (const [seen, rule] of rules.entries()) {
    const steps = alphabet.flatMap((mark) => {
      const next = overlap(marks, [...marks.slice(0, seen), mark])
      return next === marks.length ? [] : [sequence(text(mark), ruleOf(rules[next]))]
    })
    rule.body = choice([empty, sequence(characters(...others), ruleOf(rules[0])), ...steps])
  }
  return ruleOf(rules[0])
}

const codePoint = (character: string) => character.codePointAt(0) as number

/** How much of the beginning of `marks` ends what was seen. */
function overlap(marks: readonly string[], seen: readonly string[]): number {
  for (let length = Math.min(marks.length, seen.length); length > 0; length--) {
    const end = seen.slice(seen.length - length)
    if (end.every((mark, i) => mark === marks[i])) return length
  }
  return 0
}
