import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { JsonCopier } from '#src/model/json/copy-json.js'
import { copyMessages } from '#src/model/text/chat-messages.js'
import { copyTemplateInputs } from '#src/model/text/template-inputs.js'

const copy = (value: unknown) => new JsonCopier().copy(['value'], value)

const cycle: unknown[] = []
cycle.push({ a: cycle })

const twice = (value: unknown, times: number): unknown =>
  times === 0 ? value : twice([value, value], times - 1)

/** Throws when any code of it runs. */
const fail = () => {
  throw new Error('code of the value has run')
}
const failing = new Proxy({}, new Proxy({}, { get: fail }))

/** What is not JSON, or not wisely. */
const hostile: Record<string, unknown> = {
  NaN: Number.NaN,
  bigint: 1n,
  symbol: Symbol('s'),
  function: () => 1,
  date: new Date(0),
  map: new Map(),
  bytes: new Uint8Array(3),
  instance: new (class A {})(),
  cycle,
  proxy: failing,
  'object of a proxy': Object.create(failing),
  'array of holes': new Array(4e9),
  'array of undefined': [undefined],
  getter: Object.defineProperty({}, 'a', { get: fail, enumerable: true }),
  'array of a getter': Object.defineProperty([1], 0, { get: fail }),
  toJSON: { toJSON: fail },
  'many values': twice(1, 40),
  'much text': new Array(90_000).fill('a'.repeat(1000)),
  'deep nesting': JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`),
  'a misleading constructor': [{ constructor: { name: { toString: 1 } }, a: 1n }],
}

/** Puts them where they are named: fast-check would read what it draws. */
function planted(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith('hostile ')) return hostile[value.slice(8)]
  if (Array.isArray(value)) return value.map(planted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, planted(item)]))
}

describe('a JSON value of a caller', () => {
  it('is copied as JSON would, and shares nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copied = copy(value)
        expect(copied).toEqual(JSON.parse(JSON.stringify(value)))
        if (typeof value === 'object' && value !== null) expect(copied).not.toBe(value)
      }),
    )
  })

  it('keeps keys such as __proto__, and loses those of undefined', () => {
    const copied = copy(JSON.parse('{ "__proto__": { "a": 1 }, "constructor": 2 }'))
    expect(JSON.stringify(copied)).toBe('{"__proto__":{"a":1},"constructor":2}')
    expect(Object.getPrototypeOf(copied)).toBe(Object.prototype)
    expect(copy(Object.assign(Object.create(null), { a: undefined, b: null }))).toEqual({ b: null })
  })

  it('may hold the same object twice', () => {
    const shared = { a: 1 }
    expect(copy([shared, { b: shared }])).toEqual([{ a: 1 }, { b: { a: 1 } }])
  })

  it.each(Object.keys(hostile))('is refused with %s, and none of its code runs', (name) => {
    const value = hostile[name]
    for (const place of [value, [1, value], { a: { 'b c': value } }]) {
      expect(() => copy(place)).toThrow(ArgumentError)
      expect(() => copyMessages([{ role: 'user', content: 'a', extra: place }])).toThrow(
        ArgumentError,
      )
      expect(() => copyMessages(place)).toThrow(ArgumentError)
      expect(() => copyTemplateInputs({ tools: place as object[] })).toThrow(ArgumentError)
      expect(() => copyTemplateInputs({ templateOptions: { a: place } })).toThrow(ArgumentError)
    }
  })

  it('is refused by one of our errors, or fine, wherever something hostile stands in it', () => {
    const odd = fc.constantFrom(...Object.keys(hostile).map((name) => `hostile ${name}`))
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('a', 'function', 0, true, null, undefined),
        odd,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom('function', 'name', 'type', 'parameters', 'a', 'role', 'tool_calls'),
          tie('tree'),
          { maxKeys: 4 },
        ),
      ),
    }))
    fc.assert(
      fc.property(tree, (drawn) => {
        const value = planted(drawn)
        for (const call of [
          () => copyMessages(value),
          () => copyMessages([{ role: 'assistant', content: '', tool_calls: value }]),
          () => copyTemplateInputs({ tools: value as object[] }),
          () => copyTemplateInputs({ templateOptions: value as Record<string, unknown> }),
        ]) {
          try {
            JSON.stringify(call())
          } catch (error) {
            expect(error).toBeInstanceOf(ArgumentError)
          }
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('what is wrong is named by its place', () => {
  it.each<[string, object, string]>([
    ['no list', { tools: {} }, 'tools: expected an array, got Object'],
    ['no tool', { tools: ['f'] }, 'tools[0]: expected { type: \'function\', function }, got "f"'],
    [
      'a tool without a function',
      { tools: [{ type: 'function' }] },
      'tools[0].function: expected { name, description, parameters }, got undefined',
    ],
    [
      'a name',
      { tools: [{}, { function: { name: 7 } }] },
      'tools[1].function.name: expected a string, got 7',
    ],
    [
      'a description',
      { tools: [{ function: { name: 'f', description: [] } }] },
      'tools[0].function.description: expected a string, got Array',
    ],
    [
      'a schema',
      { tools: [{ function: { name: 'f', parameters: 'object' } }] },
      'tools[0].function.parameters: expected a JSON schema, got "object"',
    ],
    [
      'a function in a schema',
      { tools: [{ function: { name: 'f', parameters: { 'a b': [0, fail] } } }] },
      'tools[0].function.parameters["a b"][1]: expected a JSON value: a string, finite number, ' +
        'boolean, null, array or plain object, got a function',
    ],
    ['no object', { templateOptions: [] }, 'templateOptions: expected an object, got Array'],
    ['null', { templateOptions: null }, 'templateOptions: expected an object, got null'],
    [
      'messages',
      { templateOptions: { messages: [] } },
      'templateOptions.messages: expected the argument messages in its place, got Array',
    ],
    [
      'the prompt of the answer',
      { templateOptions: { add_generation_prompt: true } },
      'templateOptions.add_generation_prompt: expected the argument addGenerationPrompt in its place, got true',
    ],
    [
      'documents',
      { templateOptions: { documents: ['a'] } },
      'templateOptions.documents: expected an array of objects, got Array',
    ],
    [
      'a great number of values',
      { templateOptions: { a: new Array(100_000).fill(0) } },
      'templateOptions: expected at most 100000 values in all, got more',
    ],
  ])('%s', (_, inputs, message) => {
    const error = expect.objectContaining({ name: 'ArgumentError', message })
    expect(() => copyTemplateInputs(inputs)).toThrow(error)
  })
})
