import { describe, expect, it } from 'vitest'
import { checkRandomSchemas } from './schemas.js'
import { admits, compile, schemaFormat } from './walk.js'

const refusal = (schema: unknown): string => {
  try {
    compile(schemaFormat(schema))
    return 'taken'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a JSON Schema', () => {
  it('admits only texts that parse and are valid', () => {
    expect(checkRandomSchemas(40)).toBeGreaterThan(20)
  })

  it('admits what people and models write', () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string' },
        age: { type: 'integer', minimum: 0 },
        tags: { type: 'array', items: { type: 'string' } },
        note: { type: ['string', 'null'] },
      },
      required: ['name', 'age'],
    }
    const value = { name: 'Zoë "Z" \\ \n', age: 41, tags: ['a', 'b'], note: null }
    for (const space of [0, 1, 2, 4, '\t']) {
      expect(admits(schemaFormat(schema), JSON.stringify(value, null, space))).toBe(true)
    }
    const format = schemaFormat(schema)
    expect(admits(format, '{"name": "a", "age": 1}')).toBe(true)
    expect(admits(format, '{"name": "\\u00e9", "age": 1, "note": "x"}')).toBe(true)
    expect(admits(format, '{"age": 1, "name": "a"}')).toBe(false)
    expect(admits(format, '{"name": "a", "age": -1}')).toBe(false)
    expect(admits(format, '{"name": "a", "age": 01}')).toBe(false)
    expect(admits(format, '{"name": "a", "age": 1, "other": 2}')).toBe(false)
    expect(admits(format, '{"name": "a"}')).toBe(false)
  })

  it('lets other properties in only where additionalProperties says so, under other names', () => {
    const properties = { a: { type: 'integer' } }
    const open = schemaFormat({ properties, additionalProperties: { type: 'string' } })
    expect(admits(open, '{"a": 1, "b": "x", "ab": "y"}')).toBe(true)
    expect(admits(open, '{"b": "x"}')).toBe(true)
    expect(admits(open, '{"b": 1}')).toBe(false)
    expect(admits(open, '{"a": 1, "a": "x"}')).toBe(false)
    expect(admits(open, '{"\\u0061": "x"}')).toBe(false)
    expect(admits(schemaFormat({ properties }), '{"a": 1, "b": "x"}')).toBe(false)
    expect(admits(schemaFormat({ type: 'object' }), '{"a": 1, "b": [{}]}')).toBe(true)
  })

  it('has numbers within bounds only', () => {
    const cases: [object, number[], number[]][] = [
      [
        { type: 'integer', minimum: -5, maximum: 1234 },
        [-5, 0, 9, 10, 999, 1234],
        [-6, 1235, 2000],
      ],
      [{ type: 'integer', exclusiveMinimum: 7 }, [8, 70, 123456789], [7, 0, -8]],
      [{ type: 'integer', minimum: 0.5, maximum: 1.5 }, [1], [0, 2]],
      [{ type: 'number', exclusiveMinimum: 0, maximum: 1 }, [0.001, 0.5, 1], [0, -0.5, 1.001, 2]],
      [
        { type: 'number', minimum: -1.25, maximum: -0.5 },
        [-1.25, -1.2, -1, -0.5],
        [-1.26, -0.49, 0],
      ],
      [{ type: 'number', minimum: 1e-7 }, [1e-6, 1, 1.5, 1000], [0]],
      [
        { type: 'number', minimum: 0.125, exclusiveMaximum: 0.25 },
        [0.125, 0.2, 0.249],
        [0.12, 0.25],
      ],
    ]
    for (const [schema, inside, outside] of cases) {
      const spell = (value: number) => value.toFixed(6).replace(/\.?0+$/, '')
      const allowed = (value: number) => admits(schemaFormat(schema), spell(value))
      expect([schema, inside.filter((value) => !allowed(value))]).toEqual([schema, []])
      expect([schema, outside.filter(allowed)]).toEqual([schema, []])
    }
  })

  it('is refused with the path of a keyword that is not enforced', () => {
    const refused: Record<string, object> = {
      'properties.a.uniqueItems': { properties: { a: { type: 'array', uniqueItems: true } } },
      'items.contains': { items: { type: 'array', contains: {} } },
      not: { not: { type: 'string' } },
      if: { if: {}, else: {} },
      dependentRequired: { type: 'object', dependentRequired: {} },
      dependentSchemas: { type: 'object', dependentSchemas: {} },
      patternProperties: { type: 'object', patternProperties: {} },
      propertyNames: { type: 'object', propertyNames: {} },
      unevaluatedProperties: { type: 'object', unevaluatedProperties: false },
      unevaluatedItems: { type: 'array', unevaluatedItems: false },
      minProperties: { type: 'object', minProperties: 1 },
      maxProperties: { type: 'object', maxProperties: 1 },
      multipleOf: { type: 'integer', multipleOf: 3 },
      minContains: { type: 'array', minContains: 1 },
      allOf: { allOf: [{}, {}] },
      oneOf: { oneOf: [{ type: 'string' }, { type: 'string', maxLength: 3 }] },
      $dynamicRef: { $dynamicRef: '#a' },
      $anchor: { $anchor: 'a' },
      'properties.a.$id': { properties: { a: { $id: 'https://example.org/a' } } },
      nullable: { type: 'string', nullable: true },
      contentEncoding: { type: 'string', contentEncoding: 'base64' },
      minLength: { type: 'string', pattern: '^a$', minLength: 1 },
      maxLength: { type: 'string', format: 'date', maxLength: 9 },
      format: { type: 'string', format: 'uri' },
      pattern: { type: 'string', pattern: '^(?=a)' },
      $ref: { $ref: 'https://example.org/schema' },
      'properties.a.$ref': { properties: { a: { $ref: '#/nowhere' } } },
      type: { type: 'text' },
      maxItems: { type: 'array', maxItems: -1 },
      minItems: { type: 'array', minItems: 3, maxItems: 2 },
      minimum: { type: 'number', minimum: '1' },
      exclusiveMinimum: { type: 'number', minimum: 1, exclusiveMinimum: true },
      required: { required: 'a' },
      items: { items: [{}, {}] },
      description2: { description2: 'misspelt' },
      'anyOf[1].minLength': { anyOf: [{}, { type: 'string', minLength: 1.5 }] },
      properties: { anyOf: [{}], properties: {} },
      maximum: { enum: [1, 2], maximum: 1 },
    }
    for (const [path, schema] of Object.entries(refused)) {
      expect(refusal(schema)).toMatch(`responseFormat.schema.${path}: expected`)
    }
  })

  it('may say what describes it, whatever that is', () => {
    const about = { title: 't', description: 'd', default: 1, examples: [1], deprecated: true }
    const more = {
      readOnly: true,
      writeOnly: true,
      $comment: 'c',
      'x-order': 1,
      uniqueItems: false,
    }
    const schema = { ...about, ...more, $schema: 'https://json-schema.org', $id: 'a', const: 'x' }
    expect(admits(schemaFormat(schema), '"x"')).toBe(true)
  })

  it('is refused where nothing finite is valid', () => {
    const endless = { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }
    const impossible = [false, endless, { enum: [] }, { type: 'integer', minimum: 2, maximum: 1 }]
    for (const schema of [...impossible, { type: 'string', const: 1 }]) {
      expect(refusal(schema)).toMatch('expected a format that a text of finite length can have')
    }
    for (const schema of [{ $ref: '#' }, { anyOf: [{ $ref: '#' }, { type: 'null' }] }]) {
      expect(refusal(schema)).toMatch(/finite length|begin with themselves/)
    }
  })

  it('is refused where it is too large, however it is written', () => {
    const tooLarge = /at most|too ambiguous/
    const nested = (depth: number): object => (depth === 0 ? {} : { items: nested(depth - 1) })
    const doubled = Array.from({ length: 60 }, (_, i): [string, object] => {
      const next = { $ref: `#/$defs/${i + 1}` }
      return [`${i}`, { type: 'object', properties: { a: next, b: next }, required: ['a', 'b'] }]
    })
    const power = (depth: number): object =>
      depth === 0
        ? { type: 'string', pattern: '^(abc){99}$' }
        : { prefixItems: Array(9).fill(power(depth - 1)) }
    expect(refusal(nested(200))).toMatch(tooLarge)
    expect(refusal({ type: 'string', maxLength: 1e9 })).toMatch(tooLarge)
    expect(refusal({ type: 'string', pattern: '^((a{1000}){1000}){1000}$' })).toMatch(tooLarge)
    expect(refusal(power(4))).toMatch(tooLarge)
    expect(refusal({ enum: Array.from({ length: 90_000 }, (_, i) => `value ${i}`) })).toMatch(
      tooLarge,
    )
    // two to the power of sixty values, but few rules
    const shared = {
      $ref: '#/$defs/0',
      $defs: { ...Object.fromEntries(doubled), 60: { const: 1 } },
    }
    expect(refusal(shared)).toBe('taken')
  })
})
