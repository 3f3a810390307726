import fc from 'fast-check'

/** What schemas of requests are made of. */
interface Schema {
  type?: string
  const?: unknown
  enum?: readonly unknown[]
  anyOf?: readonly Schema[]
  /** Conditions, whose branches are alternatives. */
  allOf?: readonly { then?: Schema; else?: Schema }[]
  properties?: Record<string, Schema>
  required?: readonly string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  minItems?: number
  maxItems?: number
  minLength?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
}

/** An OpenAPI document, as far as requests need it. */
export interface RequestDocument {
  paths: Record<
    string,
    Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>
  >
}

const anything = fc.anything({ maxDepth: 2, withNullPrototype: false })
const texts = fc.oneof(fc.string({ maxLength: 8 }), fc.constant('ROMEO:'), fc.constant('\ud800'))

/** Fields that bound how much is computed. */
const bound = /^max_.*tokens$/

/** The longest lists, unless a schema wants more. */
const LONGEST = 4

/** A share of all values is none of those that the schema allows. */
const WRONG = { weight: 1, arbitrary: anything }
const RIGHT = 40

/**
 * A route, and a body of which nearly all is as the route's schema says: so it gets past validation, and new routes and
 * fields are fuzzed without further ado.
 */
export function requestsOf(
  document: RequestDocument,
): fc.Arbitrary<{ path: string; body: string }> {
  const routes = Object.entries(document.paths).flatMap(([path, { post }]) => {
    const schema = post?.requestBody?.content['application/json'].schema
    return schema === undefined ? [] : [{ path, schema }]
  })
  return fc.oneof(
    ...routes.map(({ path, schema }) =>
      valuesOf(schema).map((body) => ({ path, body: JSON.stringify(body) ?? '' })),
    ),
  )
}

function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: RIGHT, arbitrary: rightValuesOf(schema) }, WRONG)
}

function rightValuesOf(schema: Schema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valuesOf))
  if (schema.allOf !== undefined) {
    return fc.oneof(...schema.allOf.map((part) => valuesOf(part.else ?? part.then ?? {})))
  }
  switch (schema.type) {
    case 'object':
      return objectsOf(schema)
    case 'array': {
      const { items = {}, minItems: minLength = 0, maxItems = LONGEST } = schema
      const maxLength = Math.max(minLength, Math.min(maxItems, LONGEST))
      return fc.array(valuesOf(items), { minLength, maxLength })
    }
    case 'string':
      return texts.filter((text) => text.length >= (schema.minLength ?? 0))
    case 'integer':
      return integersOf(schema)
    case 'number': {
      const { minimum, exclusiveMinimum, maximum = 1e9 } = schema
      const min = minimum ?? exclusiveMinimum ?? -1e9
      const minExcluded = minimum === undefined && exclusiveMinimum !== undefined
      return fc.double({ min, max: maximum, minExcluded, noNaN: true })
    }
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return anything
  }
}

/** Small ones, such as tokens that there are; and any. */
function integersOf({ minimum = -1e6, maximum = 1e6 }: Schema): fc.Arbitrary<number> {
  const some = fc.integer({ min: minimum, max: Math.min(maximum, Math.max(minimum, 0) + 2000) })
  return fc.oneof(
    { weight: 3, arbitrary: some },
    { weight: 1, arbitrary: fc.integer({ min: minimum, max: maximum }) },
  )
}

function objectsOf({
  properties = {},
  required = [],
  additionalProperties,
}: Schema): fc.Arbitrary<object> {
  const names = Object.keys(properties)
  const bounds = names.filter((name) => bound.test(name))
  const fields = Object.fromEntries(names.map((name) => [name, valuesOf(properties[name])]))
  const optional = names.filter((name) => !required.includes(name))
  const some = fc.subarray(optional, { maxLength: Math.min(LONGEST, optional.length) })
  const own = some.chain((chosen) => {
    const present = [...required, ...chosen].map((name) => [name, fields[name] ?? anything])
    return fc.record(Object.fromEntries(present))
  })
  // without one, an answer would be as long as the context; routes that have two want them alike
  const limit = fc.integer({ min: 1, max: 2 })
  const bounded = limit.map((most) => Object.fromEntries(bounds.map((name) => [name, most])))
  const others = fc.dictionary(
    texts,
    typeof additionalProperties === 'object' ? valuesOf(additionalProperties) : anything,
    { maxKeys: 2 },
  )
  // what schemas leave open, chat templates read
  const open = fc.oneof(others, fc.record({ content: texts }))
  const free = additionalProperties === false ? fc.constant({}) : open
  const unknown = fc.oneof({ weight: RIGHT, arbitrary: free }, { weight: 1, arbitrary: others })
  return fc
    .tuple(unknown, own, bounded)
    .map(([more, some, limits]) => ({ ...more, ...some, ...limits }))
}
