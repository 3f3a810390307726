import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallEvent, CallParser } from '#server/text/call-reader.js'
import { HermesCalls } from '#server/text/hermes-calls.js'
import { Llama3Calls } from '#server/text/llama3-calls.js'

interface Call {
  name: string
  arguments: string
}

/** All text, and all calls, of a text that comes in these pieces. */
function parse(parser: CallParser, pieces: readonly string[]): { text: string; calls: Call[] } {
  const events = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]
  return together(events)
}

function together(events: readonly CallEvent[]): { text: string; calls: Call[] } {
  let text = ''
  const calls: Call[] = []
  for (const event of events) {
    if (event.kind === 'text') text += event.text
    else if (event.kind === 'call') calls.push({ name: event.name, arguments: '' })
    else calls[calls.length - 1].arguments += event.text
  }
  return { text, calls }
}

/** Cuts a text at these places. */
function cut(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => text.slice(from, at[i]))
}

const places = fc.array(fc.nat(), { maxLength: 12 })
const call = fc.record({
  name: fc.string({ minLength: 1 }),
  values: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })),
})
/** Beginnings of tags, braces and quotes, in any order. */
const noise = fc
  .array(
    fc.constantFrom(
      '<tool_call>',
      '</tool_call>',
      '<tool',
      '{"name": "f", "arguments": {',
      '{"a":',
      '}',
      '"',
      '\\',
      ' ',
      '\n',
      ';',
      'a',
      '<|python_tag|>',
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))
const spaces = fc.constantFrom('', ' ', '\n')
const plain = fc.string().map((text) => text.replace(/[<{]/g, '').trim())

const syntaxes = {
  hermes: {
    make: () => new HermesCalls(),
    write: (json: string) => `<tool_call>\n${json}\n</tool_call>`,
    key: 'arguments',
    separator: '\n',
  },
  llama3: {
    make: () => new Llama3Calls(),
    write: (json: string) => json,
    key: 'parameters',
    separator: '; ',
  },
}

describe.each(Object.entries(syntaxes))('calls of %s', (_, { make, write, key, separator }) => {
  it('are found with their arguments, however the text is cut', () => {
    fc.assert(
      fc.property(
        fc.array(call, { minLength: 1, maxLength: 3 }),
        spaces,
        places,
        (calls, space, at) => {
          const written = calls.map(({ name, values }) => {
            return write(
              `{${space}"name": ${JSON.stringify(name)},${space}"${key}": ${JSON.stringify(values)}}`,
            )
          })
          const { text, calls: found } = parse(make(), cut(written.join(separator), at))
          expect(text).toBe('')
          expect(found.map(({ name }) => name)).toEqual(calls.map(({ name }) => name))
          const values = found.map((call) => JSON.parse(call.arguments))
          expect(values).toEqual(calls.map(({ values }) => JSON.parse(JSON.stringify(values))))
        },
      ),
    )
  })

  it('do not depend on where any text is cut', () => {
    fc.assert(
      fc.property(noise, places, (text, at) => {
        expect(parse(make(), cut(text, at))).toEqual(parse(make(), [text]))
      }),
      { numRuns: 1000 },
    )
  })

  it('leave a text without calls as it is', () => {
    fc.assert(
      fc.property(
        fc.string().map((text) => text.replaceAll('{', '')),
        places,
        (text, at) => {
          expect(parse(make(), cut(text, at))).toEqual({ text, calls: [] })
        },
      ),
    )
  })

  it('may have their keys in another order, or no arguments', () => {
    const swapped = write(`{"${key}": {"a": 1}, "name": "f"}`)
    expect(parse(make(), [swapped]).calls).toEqual([{ name: 'f', arguments: '{"a":1}' }])
    expect(parse(make(), [write('{"name": "f"}')]).calls).toEqual([{ name: 'f', arguments: '{}' }])
  })

  it('are text if they are no calls', () => {
    for (const json of ['{"a": 1}', '{"name": 5}', '{"name": "f", "arguments": 5}', '{name: f}']) {
      expect(parse(make(), [write(json)])).toEqual({ text: write(json), calls: [] })
    }
  })

  it('give their arguments as they come', () => {
    const parser = make()
    const events = [...write(`{"name": "f", "${key}": {"city": "Ro`)].flatMap((character) => {
      return parser.push(character)
    })
    const until = together(events)
    expect(until.calls[0].arguments.startsWith('{"city": "Ro')).toBe(true)
  })
})

describe('calls of hermes', () => {
  it('may stand in a text', () => {
    fc.assert(
      fc.property(plain, plain, places, (before, after, at) => {
        const text = `${before}\n<tool_call>{"name": "f", "arguments": {}}</tool_call>\n${after}`
        expect(parse(new HermesCalls(), cut(text, at))).toEqual({
          text: before + after,
          calls: [{ name: 'f', arguments: '{}' }],
        })
      }),
    )
  })

  it('end with their tag, though a brace is missing', () => {
    const text = '<tool_call>{"name": "f", "arguments": {"a": "<b>"}</tool_call> and on'
    expect(parse(new HermesCalls(), [text])).toEqual({
      text: 'and on',
      calls: [{ name: 'f', arguments: '{"a": "<b>"}' }],
    })
  })
})

it('calls of llama3 may stand behind a tag', () => {
  const text = '<|python_tag|>{"name": "f", "parameters": {"a": 1}}'
  const calls = [{ name: 'f', arguments: '{"a": 1}' }]
  expect(parse(new Llama3Calls(), [...text])).toEqual({ text: '', calls })
})
