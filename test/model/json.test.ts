import { describe, expect, it } from 'vitest'
import { parseJson } from '#src/model/json/json.js'

const parse = (text: string) => parseJson('x.json', Buffer.from(text))

describe('parseJson', () => {
  it('accepts what JSON.parse accepts', () => {
    const text = '{"a": "{\\"a\\": 1}", "b": [{"a": "\\\\"}, {"a" : null}], "c": {"a": "}"}}'
    expect(parse(text)).toEqual(JSON.parse(text))
  })

  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['[{"b":{"x":1}, "c":[], "b" \n: 2}]', 'b'],
    ['{"\\u0061":1,"a":2}', 'a'],
    ['{"\\\\":1,"\\\\":2}', '\\'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
  ])('refuses %s, which repeats a key', (text, key) => {
    expect(() => parse(text)).toThrow(
      `x.json: not valid JSON: key ${JSON.stringify(key)} appears twice`,
    )
  })

  it('refuses invalid UTF-8', () => {
    expect(() => parseJson('x.json', Uint8Array.of(0x22, 0xff, 0x22))).toThrow(/x\.json: not valid/)
  })
})
