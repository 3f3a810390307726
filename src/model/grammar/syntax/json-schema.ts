import { ArgumentError, describe } from '../../../errors.js'
import { type Json, type JsonObject, type JsonPath, spellPath } from '../../json/copy-json.js'
import { isObject } from '../../json/fields.js'
import {
  choice,
  type Expression,
  empty,
  never,
  optional,
  Rule,
  repeat,
  ruleOf,
  sequence,
  text,
} from './expression.js'
import {
  anyArray,
  anyBoolean,
  anyObject,
  anyString,
  anyValue,
  comma,
  inBrackets,
  inString,
  keyWithout,
  list,
  member,
  quote,
  space,
  stringCharacter,
} from './json-text.js'
import { type Bound, integersWithin, numbersWithin } from './number-range.js'
import { regexExpression } from './regex.js'
import { areDisjoint, kindOf, type SchemaKind, schemaKinds } from './schema-kinds.js'
import { stringFormats } from './string-formats.js'

/**
 * The JSON texts that a schema admits, or enough of them: each is valid by the whole schema. Properties come in the
 * order of the schema, and others only where `additionalProperties` says so.
 *
 * @param path of the schema
 * @throws ArgumentError naming a keyword that is wrong, or that a grammar cannot enforce
 */
export function schemaExpression(schema: Json, path: JsonPath): Expression {
  return new SchemaWriter(schema, path).write()
}

/** They say nothing about a value. */
const annotations = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$defs',
  'definitions',
])

/** What each kind of value may be asked. */
const keywordsOf: Record<SchemaKind, readonly string[]> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
}

/** Each says all about a value, so that nothing but annotations may stand beside it. */
const complete = ['$ref', 'anyOf', 'oneOf', 'allOf', 'enum', 'const']

class SchemaWriter {
  readonly #root: Json
  readonly #path: JsonPath
  /** By their pointers. */
  readonly #references = new Map<string, Rule>()
  /** Not all at once, for references may follow each other without end. */
  readonly #unwritten: (() => void)[] = []

  constructor(root: Json, path: JsonPath) {
    this.#root = root
    this.#path = path
  }

  write(): Expression {
    const rule = this.#reference('#', this.#path)
    for (let write = this.#unwritten.pop(); write !== undefined; write = this.#unwritten.pop()) {
      write()
    }
    return ruleOf(rule)
  }

  #value(schema: Json, path: JsonPath): Expression {
    if (schema === true) return anyValue
    if (schema === false) return never
    if (!isSchema(schema)) throw new ArgumentError(spellPath(path), 'a schema', describe(schema))
    const keywords = Object.keys(schema).filter((keyword) =>
      says(schema, keyword, path, this.#path),
    )
    const whole = complete.find((keyword) => keywords.includes(keyword))
    if (whole !== undefined) return this.#complete(schema, whole, keywords, path)
    const kinds = this.#kinds(schema, keywords, path)
    for (const keyword of keywords) {
      const isKnown = keyword === 'type' || schemaKinds.some((k) => keywordsOf[k].includes(keyword))
      if (!isKnown) throw notEnforced(path, keyword)
    }
    return choice(kinds.map((kind) => this.#ofKind(kind, schema, path)))
  }

  /** A keyword that says all. */
  #complete(
    schema: JsonObject,
    keyword: string,
    keywords: readonly string[],
    path: JsonPath,
  ): Expression {
    const isList = keyword === 'enum' || keyword === 'const'
    const beside = keywords.find((other) => other !== keyword && !(isList && other === 'type'))
    if (beside !== undefined) {
      const expected = `nothing beside ${keyword} but what describes it`
      throw new ArgumentError(spellPath([...path, beside]), expected, beside)
    }
    const given = schema[keyword]
    const at: JsonPath = [...path, keyword]
    switch (keyword) {
      case '$ref':
        return this.#referenced(given, at)
      case 'anyOf':
        return this.#anyOf(given, at)
      case 'oneOf':
        return this.#oneOf(given, at)
      case 'allOf':
        return this.#allOf(given, at)
      case 'const':
        return this.#oneOfValues([given], schema, path)
      default:
        if (!Array.isArray(given))
          throw new ArgumentError(spellPath(at), 'an array', describe(given))
        return this.#oneOfValues(given, schema, path)
    }
  }

  #anyOf(schemas: Json, path: JsonPath): Expression {
    if (!Array.isArray(schemas) || schemas.length === 0) {
      throw new ArgumentError(spellPath(path), 'an array of schemas', describe(schemas))
    }
    return choice(schemas.map((schema, i) => this.#value(schema, [...path, i])))
  }

  /** A grammar cannot tell that a value has only one of several forms, unless none has two. */
  #oneOf(schemas: Json, path: JsonPath): Expression {
    const expression = this.#anyOf(schemas, path)
    const resolve = (schema: Json) => this.#resolve(schema)
    const list = schemas as Json[]
    for (const [i, a] of list.entries()) {
      const j = list.findIndex((b, j) => j > i && !areDisjoint(a, b, resolve))
      if (j < 0) continue
      const expected = 'schemas of which no value has two, or anyOf'
      throw new ArgumentError(spellPath(path), expected, `a value may have ${i} and ${j}`)
    }
    return expression
  }

  #allOf(schemas: Json, path: JsonPath): Expression {
    if (Array.isArray(schemas) && schemas.length === 1) {
      return this.#value(schemas[0], [...path, 0])
    }
    throw new ArgumentError(spellPath(path), 'an array of one schema', describe(schemas))
  }

  #oneOfValues(values: readonly Json[], schema: JsonObject, path: JsonPath): Expression {
    const kinds = 'type' in schema ? this.#kinds(schema, ['type'], path) : undefined
    const allowed = values.filter((value) => {
      if (kinds === undefined) return true
      const kind = kindOf(value)
      return kinds.includes(kind) || (kind === 'integer' && kinds.includes('number'))
    })
    return choice(allowed.map((value) => text(JSON.stringify(value))))
  }

  /** The kinds of values that it says anything about, or those that it names. */
  #kinds(schema: JsonObject, keywords: readonly string[], path: JsonPath): SchemaKind[] {
    if (!keywords.includes('type')) {
      const meant = schemaKinds.filter((kind) => {
        return kind !== 'integer' && keywordsOf[kind].some((keyword) => keywords.includes(keyword))
      })
      return meant.length > 0 ? meant : schemaKinds.filter((kind) => kind !== 'integer')
    }
    const { type } = schema
    const kinds = Array.isArray(type) ? type : [type]
    const isKind = (kind: Json): kind is SchemaKind => schemaKinds.includes(kind as SchemaKind)
    if (kinds.length > 0 && kinds.every(isKind)) return kinds
    const expected = `one or several of ${schemaKinds.join(', ')}`
    throw new ArgumentError(spellPath([...path, 'type']), expected, JSON.stringify(type))
  }

  #ofKind(kind: SchemaKind, schema: JsonObject, path: JsonPath): Expression {
    switch (kind) {
      case 'object':
        return this.#object(schema, path)
      case 'array':
        return this.#array(schema, path)
      case 'string':
        return this.#string(schema, path)
      case 'boolean':
        return anyBoolean
      case 'null':
        return text('null')
      default:
        return this.#number(kind, schema, path)
    }
  }

  // ---- objects --------------------------------------------------------------------------------------

  #object(schema: JsonObject, path: JsonPath): Expression {
    if (keywordsOf.object.every((keyword) => !(keyword in schema))) return anyObject
    const { properties = {}, required = [] } = schema
    const hasNone = !('properties' in schema) && !('required' in schema)
    const { additionalProperties = hasNone } = schema
    if (!isSchema(properties)) {
      const at = spellPath([...path, 'properties'])
      throw new ArgumentError(at, 'an object of schemas', describe(properties))
    }
    if (!Array.isArray(required) || !required.every((name) => typeof name === 'string')) {
      const at = spellPath([...path, 'required'])
      throw new ArgumentError(at, 'an array of names', describe(required))
    }
    const names = [...new Set([...Object.keys(properties), ...(required as string[])])]
    const others = this.#rule(
      'value',
      this.#value(additionalProperties, [...path, 'additionalProperties']),
    )
    const members = names.map((name) => ({
      isRequired: required.includes(name),
      expression: member(
        text(JSON.stringify(name)),
        Object.hasOwn(properties, name)
          ? this.#value(properties[name], [...path, 'properties', name])
          : 'additionalProperties' in schema
            ? others
            : anyValue,
      ),
    }))
    const other = additionalProperties === false ? never : member(keyWithout(names), others)
    return inBrackets('{', this.#members(members, other), '}')
  }

  /** Members in their order, then others; each but the first behind a comma. */
  #members(
    members: readonly { isRequired: boolean; expression: Expression }[],
    other: Expression,
  ): Expression {
    let behind: Expression = sequence(repeat(sequence(comma, other), 0, Infinity), space)
    const firsts: Expression[] = [empty, sequence(other, behind)]
    for (const { isRequired, expression } of [...members].reverse()) {
      const value = this.#rule('member', expression)
      const behindIt = this.#rule('members', behind)
      if (isRequired) firsts.length = 0
      firsts.push(sequence(value, behindIt))
      const more = sequence(comma, value)
      behind = sequence(isRequired ? more : optional(more), behindIt)
    }
    return choice(firsts)
  }

  #rule(name: string, body: Expression): Expression {
    const rule = new Rule(name)
    rule.body = body
    return ruleOf(rule)
  }

  // ---- arrays ---------------------------------------------------------------------------------------

  #array(schema: JsonObject, path: JsonPath): Expression {
    if (keywordsOf.array.every((keyword) => !(keyword in schema))) return anyArray
    const { prefixItems = [], items = true } = schema
    if (!Array.isArray(prefixItems)) {
      const at = spellPath([...path, 'prefixItems'])
      throw new ArgumentError(at, 'an array of schemas', describe(prefixItems))
    }
    if (Array.isArray(items)) {
      const at = spellPath([...path, 'items'])
      throw new ArgumentError(at, 'one schema; prefixItems has several', describe(items))
    }
    const { min, max } = this.#counts(schema, 'minItems', 'maxItems', path)
    const count = Math.min(prefixItems.length, max)
    const firsts = prefixItems.slice(0, count).map((item, i) => {
      return this.#value(item, [...path, 'prefixItems', i])
    })
    const item = this.#rule('item', this.#value(items, [...path, 'items']))
    if (count === 0) return inBrackets('[', list(item, min, max), ']')
    const more = repeat(sequence(comma, item), Math.max(0, min - count), max - count)
    const all = firsts.flatMap((first, i) => (i === 0 ? [first] : [comma, first]))
    return inBrackets('[', sequence(...all, more, space), ']')
  }

  #counts(
    schema: JsonObject,
    least: string,
    most: string,
    path: JsonPath,
  ): { min: number; max: number } {
    const read = (keyword: string, otherwise: number): number => {
      const value = schema[keyword] ?? otherwise
      if (value === Infinity || (Number.isSafeInteger(value) && (value as number) >= 0)) {
        return value as number
      }
      throw new ArgumentError(spellPath([...path, keyword]), 'a count', describe(value))
    }
    const [min, max] = [read(least, 0), read(most, Infinity)]
    if (min <= max) return { min, max }
    throw new ArgumentError(spellPath([...path, least]), `at most ${most}, ${max}`, `${min}`)
  }

  // ---- strings and numbers --------------------------------------------------------------------------

  #string(schema: JsonObject, path: JsonPath): Expression {
    const given = keywordsOf.string.filter((keyword) => keyword in schema)
    if (given.length === 0) return anyString
    const shape = given.find((keyword) => keyword === 'pattern' || keyword === 'format')
    const beside = given.find((keyword) => keyword !== shape)
    if (shape === undefined) {
      const { min, max } = this.#counts(schema, 'minLength', 'maxLength', path)
      return sequence(quote, repeat(character, min, max), quote)
    }
    if (beside !== undefined) {
      const expected = `no ${beside} beside ${shape}: say it in a pattern`
      throw new ArgumentError(spellPath([...path, beside]), expected, beside)
    }
    const regex = shape === 'pattern' ? schema.pattern : this.#format(schema.format, path)
    const argument = spellPath([...path, shape])
    if (typeof regex !== 'string') {
      throw new ArgumentError(argument, 'a regular expression', describe(regex))
    }
    const around = repeat(stringCharacter, 0, Infinity)
    return sequence(quote, regexExpression(regex, { argument, spell: inString, around }), quote)
  }

  #format(format: Json, path: JsonPath): string {
    const formats = Object.keys(stringFormats)
    if (typeof format === 'string' && formats.includes(format)) return stringFormats[format]
    const expected = `one of ${formats.join(', ')}, or a pattern`
    throw new ArgumentError(spellPath([...path, 'format']), expected, describe(format))
  }

  #number(kind: 'number' | 'integer', schema: JsonObject, path: JsonPath): Expression {
    const read = (keyword: string, isInclusive: boolean): Bound | undefined => {
      const value = schema[keyword]
      if (value === undefined) return undefined
      if (typeof value === 'number') return { value, isInclusive }
      throw new ArgumentError(spellPath([...path, keyword]), 'a number', describe(value))
    }
    const lower = tighter([read('minimum', true), read('exclusiveMinimum', false)], 1)
    const upper = tighter([read('maximum', true), read('exclusiveMaximum', false)], -1)
    return kind === 'integer' ? integersWithin(lower, upper) : numbersWithin(lower, upper)
  }

  // ---- references -----------------------------------------------------------------------------------

  #referenced(pointer: Json, path: JsonPath): Expression {
    if (typeof pointer === 'string' && /^#(\/|$)/.test(pointer)) {
      return ruleOf(this.#reference(pointer, path))
    }
    const expected = 'a place in the same schema, such as #/$defs/item'
    throw new ArgumentError(spellPath(path), expected, describe(pointer))
  }

  /** The rule of a place in the schema. */
  #reference(pointer: string, path: JsonPath): Rule {
    const known = this.#references.get(pointer)
    if (known !== undefined) return known
    const rule = new Rule(`schema ${pointer}`)
    this.#references.set(pointer, rule)
    const keys = keysOf(pointer)
    const schema = this.#at(keys)
    if (schema === undefined) {
      throw new ArgumentError(spellPath(path), 'a place in the schema', describe(pointer))
    }
    this.#unwritten.push(() => {
      rule.body = this.#value(schema, [...this.#path, ...keys])
    })
    return rule
  }

  #at(keys: readonly string[]): Json | undefined {
    let value: Json | undefined = this.#root
    for (const key of keys) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key))
        return undefined
      value = (value as JsonObject)[key]
    }
    return value
  }

  /** What a schema says in the end, through references. */
  #resolve(schema: Json): Json {
    let resolved = schema
    for (let hops = 0; hops < MAX_HOPS && isSchema(resolved); hops++) {
      const { $ref: pointer, allOf }: JsonObject = resolved
      if (typeof pointer === 'string') resolved = this.#at(keysOf(pointer)) ?? resolved
      else if (Array.isArray(allOf) && allOf.length === 1) resolved = allOf[0]
      else break
    }
    return resolved
  }
}

/** References that lead to each other, at most. */
const MAX_HOPS = 16

/** Characters of counted strings share the rule, which is long. */
const characterRule = new Rule('character of a string')
characterRule.body = stringCharacter
const character = ruleOf(characterRule)

function isSchema(value: Json): value is JsonObject {
  return isObject(value)
}

/** Whether a keyword says something about values. */
function says(schema: JsonObject, keyword: string, path: JsonPath, root: JsonPath): boolean {
  if (annotations.has(keyword) || keyword.startsWith('x-')) return false
  if (keyword === '$id' && path.length === root.length) return false
  return !(keyword === 'uniqueItems' && schema[keyword] === false)
}

function notEnforced(path: JsonPath, keyword: string): ArgumentError {
  const expected = 'keywords that a grammar can enforce'
  return new ArgumentError(spellPath([...path, keyword]), expected, keyword)
}

/** @param side 1 for lower bounds, of which the larger one counts; -1 for upper ones */
function tighter(bounds: readonly (Bound | undefined)[], side: 1 | -1): Bound | undefined {
  const given = bounds.filter((bound) => bound !== undefined)
  return given.sort((a, b) => {
    return (b.value - a.value) * side || Number(a.isInclusive) - Number(b.isInclusive)
  })[0]
}

/** The keys of a JSON pointer in a URI fragment. */
function keysOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => decode(key).replaceAll('~1', '/').replaceAll('~0', '~'))
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
