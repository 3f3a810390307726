import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fixture, readJson } from './support.js'
import { parseTokenizer } from './texts.js'
import { llama2, llama3, metaspace, qwen } from './tokenizers.js'

const kinds = { llama2, llama3, qwen, fixture: readJson(join(fixture, 'tokenizer.json')) }

describe("the lower bound of a text's token count", () => {
  it.each(Object.entries(kinds))('never exceeds it: %s', (_, json) => {
    const tokenizer = parseTokenizer(json)
    expect(tokenizer.leastTokens('x'.repeat(1e6))).toBeGreaterThan(1e3)
    // the longest tokens, and texts that normalisation composes, come nearest to the bound
    const longest = Object.keys(json.model.vocab).sort((a, b) => b.length - a.length)[0]
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        longest.replaceAll('\u0120', ' ').repeat(9),
        '\u03b1\u0313\u0300\u0345',
        ' hey',
      ),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const text = parts.join('')
        const count = tokenizer.encode(text, { addSpecialTokens: false }).length
        expect(tokenizer.leastTokens(text)).toBeLessThanOrEqual(count)
      }),
    )
  })

  it.each<[string, unknown]>([
    ['joins unknown characters', metaspace],
    ['lacks a byte', { ...llama3, model: { ...llama3.model, vocab: { a: 0 }, merges: [] } }],
    ['drops spaces', { ...llama3, normalizer: { type: 'Strip', left: true, right: true } }],
    [
      'drops separators',
      {
        ...llama3,
        pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'Removed' },
      },
    ],
    [
      'strips around an added token',
      { ...llama3, added_tokens: llama3.added_tokens.map((t) => ({ ...t, lstrip: true })) },
    ],
  ])('is 0 for a tokenizer that %s', (_, json) => {
    expect(parseTokenizer(json).leastTokens('x'.repeat(1e6))).toBe(0)
  })
})
