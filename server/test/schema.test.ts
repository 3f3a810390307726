import { Type } from '@fastify/type-provider-typebox'
import { describe, expect, it } from 'vitest'
import { describeType, descriptionOf, objectIn, type Schema } from '../page/schema.js'

const toSchema = (schema: object) => JSON.parse(JSON.stringify(schema)) as Schema
const orNull = (schema: object) => Type.Union([schema as Schema, Type.Null()])

describe('the page of the routes', () => {
  it.each<[text: string, schema: object]>([
    ['string', Type.String()],
    ['string', orNull(Type.String())],
    ['null', Type.Null()],
    ['any', Type.Unknown()],
    ['number above 0 to 1', Type.Number({ exclusiveMinimum: 0, maximum: 1 })],
    ['integer from 1', Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })],
    ['"a" or "b"', Type.Enum(['a', 'b'])],
    ['"list"', Type.Literal('list')],
    ['false', Type.Literal(false)],
    ['string or array of string', orNull(Type.Union([Type.String(), Type.Array(Type.String())]))],
    ['object of number', { type: 'object', additionalProperties: Type.Number() }],
    ['object', { type: 'object', additionalProperties: {} }],
    ['array of object', Type.Array(Type.Object({ role: Type.String() }))],
  ])('says in short what a value may be: %s', (text, schema) => {
    expect(describeType(toSchema(schema))).toBe(text)
  })

  it('finds the fields of objects in arrays and unions, and what is said of a value', () => {
    const object = Type.Object({ role: Type.String({ description: 'who speaks' }) })
    const found = objectIn(toSchema(orNull(Type.Array(object))))
    expect(Object.keys(found?.properties ?? {})).toEqual(['role'])
    expect(objectIn(toSchema(Type.Array(Type.String())))).toBeUndefined()
    expect(descriptionOf(toSchema(orNull(Type.String({ description: 'a name' }))))).toBe('a name')
    expect(descriptionOf({})).toBe('')
  })
})
