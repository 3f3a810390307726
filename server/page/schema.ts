/** As much of JSON Schema as the server's document uses. */
export interface Schema {
  readonly type?: string
  readonly description?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

/** What a value may be, in short: `number from 0 to 1`, `array of string`. Null only where it is all. */
export function describeType(schema: Schema): string {
  if (schema.anyOf !== undefined)
    return [...new Set(valuesOf(schema).map(describeType))].join(' or ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined)
    return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
  if (schema.type === 'array') return `array of ${describeType(schema.items ?? {})}`
  const { additionalProperties: values } = schema
  if (typeof values === 'object' && schema.properties === undefined) {
    const kind = describeType(values)
    return kind === 'any' ? 'object' : `object of ${kind}`
  }
  return `${schema.type ?? 'any'}${describeRange(schema)}`
}

/** The alternatives that say something: a field that may be left out may be null, too. */
function valuesOf({ anyOf = [] }: Schema): Schema[] {
  const said = anyOf.filter(({ type }) => type !== 'null')
  return said.flatMap((schema) => (schema.anyOf === undefined ? schema : valuesOf(schema)))
}

/** Limits that are only those of the numbers of JavaScript are none. */
const LARGE = 1e6

function describeRange({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): string {
  const parts = [
    exclusiveMinimum === undefined ? '' : `above ${exclusiveMinimum}`,
    minimum === undefined ? '' : `from ${minimum}`,
    exclusiveMaximum === undefined ? '' : `below ${exclusiveMaximum}`,
    maximum === undefined || maximum >= LARGE ? '' : `to ${maximum}`,
  ]
  return parts.map((part) => part && ` ${part}`).join('')
}

/** Its own description, or that of its only value. */
export function descriptionOf(schema: Schema): string {
  return (
    schema.description ?? valuesOf(schema).find(({ description }) => description)?.description ?? ''
  )
}

/** The object whose fields are worth to be told: the schema itself, or what it has items or alternatives of. */
export function objectIn(schema: Schema): Schema | undefined {
  if (schema.properties !== undefined) return schema
  if (schema.items !== undefined) return objectIn(schema.items)
  return valuesOf(schema)
    .map(objectIn)
    .find((found) => found !== undefined)
}
