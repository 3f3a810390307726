import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import { expect } from 'vitest'
import { seededRandom } from '#src/model/generation/random.js'
import { compile, schemaFormat, walk } from './walk.js'

/* Schemas that a grammar can enforce. */

type Schema = boolean | Record<string, unknown>

// not __proto__, which ajv takes for no property
const names = fc.constantFrom('a', 'ab', 'b', 'name', 'Δ', 'a "quoted" one', 'back\\slash', '', '0')
const scalar = fc.oneof(
  fc.constantFrom('x', 'xyz', 'new\nline', '"', '\\', 'naïve 😀', ''),
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom(1.5, -0.25, 1e21, 1e-7, true, false, null),
)
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 2 }),
  fc.dictionary(fc.constantFrom('k', 'l'), scalar, { maxKeys: 2, noNullPrototype: true }),
)

const bound = fc.oneof(
  fc.integer({ min: -1200, max: 1200 }),
  fc.integer({ min: -(10 ** 14), max: 10 ** 14 }),
  fc.double({ min: -50, max: 50, noNaN: true }).map((x) => Math.round(x * 1000) / 1000),
  fc.constantFrom(0, 0.1, -0.001, 1e-6, 99.5, 1e14),
)

/** Bounds with room between them. */
const bounds = fc
  .record({ low: bound, room: fc.constantFrom(2, 3.5, 17, 1000), kinds: fc.nat(15) })
  .map(({ low, room, kinds }): Record<string, number> => {
    const least = kinds & 1 ? { minimum: low } : { exclusiveMinimum: low }
    const most = kinds & 2 ? { maximum: low + room } : { exclusiveMaximum: low + room }
    return { ...(kinds & 4 ? least : {}), ...(kinds & 8 ? most : {}) }
  })

const lengths = fc.tuple(fc.nat(4), fc.nat(4), fc.nat(3)).map(([least, more, kinds]) => ({
  ...(kinds & 1 ? { least } : {}),
  ...(kinds & 2 ? { most: least + more } : {}),
}))

const strings: fc.Arbitrary<Schema> = fc.oneof(
  fc.constant({ type: 'string' }),
  lengths.map(({ least, most }) => ({ type: 'string', minLength: least, maxLength: most })),
  fc
    .constantFrom(
      '^[a-z]{1,3}$',
      'b',
      '^a|c$',
      '^"\\\\/\\n$',
      '^\\d+(\\.\\d{2})?$',
      '^[^"a-y]{2}$',
      '^(?:x|yz)*$',
      '^\\p{Lu}\\w?$',
      '^.{0,2}$',
      '^\\s$',
    )
    .map((pattern) => ({ type: 'string', pattern })),
  fc
    .constantFrom('date', 'time', 'date-time', 'uuid', 'ipv4', 'hostname', 'email')
    .map((format) => ({ type: 'string', format })),
)

const scalars: fc.Arbitrary<Schema> = fc.oneof(
  strings,
  fc.tuple(fc.constantFrom('integer', 'number'), bounds).map(([type, b]) => ({ type, ...b })),
  fc.constantFrom<Schema>(
    { type: 'boolean' },
    { type: 'null' },
    true,
    {},
    { type: ['string', 'null'] },
  ),
  fc.array(value, { minLength: 1, maxLength: 3 }).map((values) => ({ enum: values })),
  value.map((value) => ({ const: value })),
)

const { schema } = fc.letrec<{ schema: Schema }>((tie) => {
  const inner = tie('schema')
  const object = fc
    .record({
      properties: fc.uniqueArray(fc.tuple(names, inner), {
        selector: ([name]) => name,
        maxLength: 4,
      }),
      required: fc.nat(31),
      additional: fc.option(fc.oneof(fc.boolean(), inner), { nil: undefined }),
    })
    .map(({ properties, required, additional }) => ({
      type: 'object',
      properties: Object.fromEntries(properties),
      required: properties.map(([name]) => name).filter((_, i) => (required >> i) & 1),
      ...(additional === undefined ? {} : { additionalProperties: additional }),
    }))
  const array = fc
    .record({ items: inner, lengths, first: fc.array(inner, { maxLength: 2 }) })
    .map(({ items, lengths: { least, most }, first }) => ({
      type: 'array',
      items,
      ...(first.length > 0 ? { prefixItems: first } : {}),
      ...(least === undefined ? {} : { minItems: least }),
      ...(most === undefined ? {} : { maxItems: most }),
    }))
  const either = fc
    .tuple(fc.constantFrom('anyOf', 'allOf'), fc.array(inner, { minLength: 1, maxLength: 3 }))
    .map(([keyword, list]) => ({ [keyword]: keyword === 'allOf' ? list.slice(0, 1) : list }))
  const tagged = fc.array(inner, { minLength: 2, maxLength: 3 }).map((list) => ({
    oneOf: list.map((value, i) => ({
      type: 'object',
      properties: { kind: { const: `kind ${i}` }, value },
      required: ['kind'],
    })),
  }))
  return { schema: fc.oneof({ maxDepth: 3 }, scalars, object, array, either, tagged) }
})

/** Schemas, also such as refer to parts of themselves. */
export const schemas: fc.Arbitrary<Schema> = fc.oneof(
  schema,
  fc.tuple(schema, schema).map(([item, other]) => ({
    type: 'object',
    properties: {
      list: { type: 'array', items: { $ref: '#/$defs/a~1b' }, maxItems: 2 },
      self: { anyOf: [{ type: 'null' }, { $ref: '#' }] },
      other: { $ref: '#/properties/list/items' },
    },
    required: ['list'],
    $defs: { 'a/b': item, other },
  })),
)

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)

export const validate = (schema: Schema, text: string): string | undefined => {
  const isValid = ajv.compile(schema)
  return isValid(JSON.parse(text)) ? undefined : `${text}: ${ajv.errorsText(isValid.errors)}`
}

/** Asserts that texts by chance are valid by schemas by chance. Returns how many texts there were. */
export function checkRandomSchemas(numRuns: number): number {
  let ended = 0
  fc.assert(
    fc.property(schemas, fc.integer(), (schema, seed) => {
      const text = walk(compile(schemaFormat(schema)), seededRandom(seed))
      if (text === undefined) return
      ended++
      expect(validate(schema, text)).toBeUndefined()
    }),
    { numRuns },
  )
  return ended
}
