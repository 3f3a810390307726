import { ArgumentError } from '../../../errors.js'
import {
  type CodePoints,
  characters,
  choice,
  complement,
  type Expression,
  normalise,
  Rule,
  repeat,
  ruleOf,
  sequence,
  text,
} from './expression.js'

/** UTF-16 units of a grammar. */
const MAX_LENGTH = 1 << 18

/** Parentheses within each other. */
const MAX_DEPTH = 100

/**
 * Texts of a grammar in the EBNF that llama.cpp (GBNF) and XGrammar read: rules `name ::= …` of strings, classes of
 * characters, names, groups, `|`, and `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}` behind any of them; `#` begins a comment.
 * The text is that of the rule `root`.
 *
 * @throws ArgumentError telling the line
 */
export function ebnfExpression(grammar: string, argument: string): Expression {
  if (grammar.length > MAX_LENGTH) {
    throw new ArgumentError(argument, `at most ${MAX_LENGTH} characters`, `${grammar.length}`)
  }
  return new EbnfParser(grammar, argument).parse()
}

class EbnfParser {
  readonly #source: string
  readonly #argument: string
  readonly #rules = new Map<string, Rule>()
  readonly #defined = new Set<Rule>()
  /** Where each rule is first named. */
  readonly #uses = new Map<Rule, number>()
  #at = 0
  #depth = 0

  constructor(source: string, argument: string) {
    this.#source = source
    this.#argument = argument
  }

  parse(): Expression {
    for (this.#skip(); this.#at < this.#source.length; this.#skip()) this.#parseRule()
    const root = this.#rules.get('root')
    if (root === undefined || !this.#defined.has(root)) {
      throw this.#error('a rule named root', 'none', this.#source.length)
    }
    for (const [rule, at] of this.#uses) {
      if (!this.#defined.has(rule)) throw this.#error(`a rule named ${rule.name}`, 'none', at)
    }
    return ruleOf(root)
  }

  #parseRule(): void {
    const start = this.#at
    const name = this.#match(NAME)
    if (name === undefined) throw this.#unexpected('the name of a rule')
    this.#skip()
    if (this.#match(/::=/y) === undefined) throw this.#unexpected('::=')
    const rule = this.#ruleOf(name)
    if (this.#defined.has(rule)) throw this.#error('each rule once', `${name} again`, start)
    this.#defined.add(rule)
    rule.body = this.#parseChoice()
  }

  #ruleOf(name: string): Rule {
    const known = this.#rules.get(name)
    if (known !== undefined) return known
    const rule = new Rule(name)
    this.#rules.set(name, rule)
    return rule
  }

  #parseChoice(): Expression {
    const options = [this.#parseSequence()]
    while (this.#match(/\|/y) !== undefined) options.push(this.#parseSequence())
    return options.length === 1 ? options[0] : choice(options)
  }

  #parseSequence(): Expression {
    const parts: Expression[] = []
    for (;;) {
      this.#skip()
      const part = this.#parseItem()
      if (part === undefined) return parts.length === 1 ? parts[0] : sequence(...parts)
      parts.push(this.#parseRepeats(part))
    }
  }

  /** Undefined where the sequence ends. */
  #parseItem(): Expression | undefined {
    const start = this.#at
    switch (this.#source[start]) {
      case '"':
        return this.#parseString()
      case '[':
        return this.#parseClass()
      case '.':
        this.#at++
        return characters([0, 0x10ffff])
      case '(':
        return this.#parseGroup()
    }
    const name = this.#match(NAME)
    if (name === undefined) return undefined
    this.#skip()
    if (this.#source.startsWith('::=', this.#at)) {
      // the next rule
      this.#at = start
      return undefined
    }
    const rule = this.#ruleOf(name)
    if (!this.#uses.has(rule)) this.#uses.set(rule, start)
    return ruleOf(rule)
  }

  #parseGroup(): Expression {
    if (this.#depth === MAX_DEPTH) {
      throw this.#error(`at most ${MAX_DEPTH} parentheses within each other`, 'more', this.#at)
    }
    this.#at++
    this.#depth++
    const group = this.#parseChoice()
    this.#depth--
    if (this.#match(/\)/y) === undefined) throw this.#unexpected(')')
    return group
  }

  #parseRepeats(part: Expression): Expression {
    let repeated = part
    for (;;) {
      this.#skip()
      if (this.#match(/\*/y) !== undefined) repeated = repeat(repeated, 0, Infinity)
      else if (this.#match(/\+/y) !== undefined) repeated = repeat(repeated, 1, Infinity)
      else if (this.#match(/\?/y) !== undefined) repeated = repeat(repeated, 0, 1)
      else if (this.#source[this.#at] === '{') repeated = this.#parseCounts(repeated)
      else return repeated
    }
  }

  #parseCounts(part: Expression): Expression {
    const start = this.#at
    const counts = this.#match(/\{\s*\d{1,9}\s*(,\s*(\d{1,9}\s*)?)?\}/y)
    if (counts === undefined) throw this.#unexpected('{n}, {n,} or {n,m}')
    const [least, most] = counts.slice(1, -1).split(',')
    const min = Number(least)
    const max = most === undefined ? min : most.trim() === '' ? Infinity : Number(most)
    if (min > max) throw this.#error(`{n,m} with m at least n`, counts, start)
    return repeat(part, min, max)
  }

  #parseString(): Expression {
    this.#at++
    let value = ''
    while (this.#source[this.#at] !== '"') value += String.fromCodePoint(this.#parseCharacter('"'))
    this.#at++
    return text(value)
  }

  #parseClass(): Expression {
    this.#at++
    const isNegated = this.#match(/\^/y) !== undefined
    const ranges: CodePoints[] = []
    while (this.#source[this.#at] !== ']') {
      const start = this.#at
      const first = this.#parseCharacter(']')
      const isRange = /-[^\]]/y
      isRange.lastIndex = this.#at
      if (!isRange.test(this.#source)) ranges.push([first, first])
      else {
        this.#at++
        const last = this.#parseCharacter(']')
        if (last < first) throw this.#error('a range that ascends', 'one that does not', start)
        ranges.push([first, last])
      }
    }
    this.#at++
    const sorted = normalise(ranges)
    return characters(...(isNegated ? complement(sorted) : sorted))
  }

  /** A code point of a string or a class. */
  #parseCharacter(closing: string): number {
    const point = this.#source.codePointAt(this.#at)
    if (point === undefined || point === 0x0a) throw this.#unexpected(closing)
    if (point !== 0x5c) {
      this.#at += point > 0xffff ? 2 : 1
      return point
    }
    const escaped = this.#match(/\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^xuU])/y)
    if (escaped === undefined) throw this.#unexpected('an escape: \\xHH, \\uHHHH or \\UHHHHHHHH')
    const kind = escaped[1]
    if (!'xuU'.includes(kind)) return (escapes[kind] ?? kind).codePointAt(0) as number
    const value = Number.parseInt(escaped.slice(2), 16)
    if (value > 0x10ffff) throw this.#error('a code point', escaped, this.#at)
    return value
  }

  /** Skips white space and comments. */
  #skip(): void {
    this.#match(/(?:\s+|#[^\n]*)*/y)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#source)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  #unexpected(expected: string): ArgumentError {
    const found = this.#source.slice(this.#at, this.#at + 10)
    return this.#error(expected, found === '' ? 'the end' : JSON.stringify(found), this.#at)
  }

  #error(expected: string, got: string, at: number): ArgumentError {
    const before = this.#source.slice(0, at).split('\n')
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
    return new ArgumentError(this.#argument, expected, `${got} at ${place}`)
  }
}

const NAME = /[A-Za-z_][\w.-]*/y

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' }
