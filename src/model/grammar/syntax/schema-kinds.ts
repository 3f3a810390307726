import type { Json, JsonObject } from '../../json/copy-json.js'
import { isObject } from '../../json/fields.js'

/** Kinds of values, as JSON Schema names them. */
export const schemaKinds = [
  'object',
  'array',
  'string',
  'number',
  'integer',
  'boolean',
  'null',
] as const
export type SchemaKind = (typeof schemaKinds)[number]

/** The narrowest kind of a value. */
export function kindOf(value: Json): SchemaKind {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value as 'object' | 'string' | 'boolean'
}

/** Schemas within each other that are looked into. */
const MAX_DEPTH = 4

/**
 * Whether it is plain that no value has both schemas: they name other kinds of values, or other values, themselves or
 * for a property that both require.
 *
 * @param resolve follows references
 */
export function areDisjoint(
  a: Json,
  b: Json,
  resolve: (schema: Json) => Json,
  depth = MAX_DEPTH,
): boolean {
  const [first, second] = [resolve(a), resolve(b)]
  if (!isObject(first) || !isObject(second) || depth === 0) return false
  const [x, y] = [first as JsonObject, second as JsonObject]
  const [xs, ys] = [valuesOf(x), valuesOf(y)]
  if (xs !== undefined && ys !== undefined) return xs.every((value) => !ys.includes(value))
  const [xKinds, yKinds] = [kindsOf(x), kindsOf(y)]
  if (xKinds === undefined || yKinds === undefined) return false
  if (!xKinds.some((kind) => yKinds.some((other) => overlap(kind, other)))) return true
  if (xKinds.join() !== 'object' || yKinds.join() !== 'object') return false
  return requiredOf(x).some((name) => {
    if (!requiredOf(y).includes(name)) return false
    const [p, q] = [propertyOf(x, name), propertyOf(y, name)]
    return p !== undefined && q !== undefined && areDisjoint(p, q, resolve, depth - 1)
  })
}

function overlap(a: SchemaKind, b: SchemaKind): boolean {
  const isNumber = (kind: SchemaKind) => kind === 'integer' || kind === 'number'
  return a === b || (isNumber(a) && isNumber(b))
}

/** In JSON, which spells scalars alike that are equal; others are not told apart. */
function valuesOf({ const: value, enum: values }: JsonObject): string[] | undefined {
  const list = value !== undefined ? [value] : Array.isArray(values) ? values : undefined
  const isScalar = (value: Json) => typeof value !== 'object' || value === null
  return list?.every(isScalar) ? list.map((value) => JSON.stringify(value)) : undefined
}

function kindsOf(schema: JsonObject): SchemaKind[] | undefined {
  const { type, const: value, enum: values } = schema
  if (value !== undefined) return [kindOf(value)]
  if (Array.isArray(values)) return values.map(kindOf)
  if (type === undefined) return 'properties' in schema ? ['object'] : undefined
  return (Array.isArray(type) ? type : [type]) as SchemaKind[]
}

function requiredOf({ required }: JsonObject): Json[] {
  return Array.isArray(required) ? required : []
}

function propertyOf({ properties }: JsonObject, name: Json): Json | undefined {
  if (!isObject(properties) || typeof name !== 'string') return undefined
  return Object.hasOwn(properties, name) ? (properties[name] as Json) : undefined
}
