import { join } from 'node:path'
import { Tokenizer as Reference } from '@huggingface/tokenizers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  fixture,
  hasShared,
  qwen3Prompts,
  readJson,
  skipNote,
  stories,
  storiesPrompts,
} from './support.js'
import { parseTokenizer } from './texts.js'

const open = (folder: string) => parseTokenizer(readJson(join(folder, 'tokenizer.json')))

const wellFormed = (text: string) => !/\p{Surrogate}/u.test(text)

const texts = [
  'O gentle night,',
  ' two  spaces',
  'naïve 😀 \u{1f469}\u200d\u{1f680}',
  '\ufeffmark',
  'a\0b',
]

describe('byte-level tokenizer', () => {
  const tokenizer = open(fixture)

  it('encodes the golden prompts as the reference did', () => {
    for (const { text, promptIds } of qwen3Prompts())
      expect(tokenizer.encode(text)).toEqual(promptIds)
  })

  it('decodes the golden tokens', () => {
    for (const { greedyIds, completion } of qwen3Prompts()) {
      expect(tokenizer.decode(greedyIds)).toBe(completion)
    }
  })

  it('returns every text', () => {
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.includes('<|'))
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
      }),
    )
  })

  it('decodes special tokens and unused token ids to no text', () => {
    expect(tokenizer.encode('<|endoftext|>a')[0]).toBe(0)
    expect(tokenizer.decode([0, ...tokenizer.encode('hi'), 0, 9999])).toBe('hi')
    expect(tokenizer.encode('')).toEqual([])
  })

  it('streams any tokens in whole code points that add up to the text', () => {
    const reference = new Reference(readJson(join(fixture, 'tokenizer.json')), {})
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 2047 }), { minLength: 1 }), (ids) => {
        const stream = tokenizer.stream()
        const pieces = [...ids.map((id) => stream.push(id)), stream.end()]
        expect(pieces.every(wellFormed)).toBe(true)
        expect(pieces.join('')).toBe(tokenizer.decode(ids))
        expect(pieces.join('')).toBe(reference.decode(ids, { clean_up_tokenization_spaces: false }))
      }),
    )
  })

  it('holds a code point back until its last byte, even across the prompt', () => {
    const ids = tokenizer.encode('😀')
    expect(ids.length).toBeGreaterThan(1)
    for (let split = 0; split < ids.length; split++) {
      const stream = tokenizer.stream(ids.slice(0, split))
      const pieces = ids.slice(split).map((id) => stream.push(id))
      expect(pieces.at(-1)).toBe('😀')
      expect(pieces.slice(0, -1).join('')).toBe('')
      expect(stream.end()).toBe('')
    }
  })

  it('ends an unfinished code point with U+FFFD', () => {
    const stream = tokenizer.stream()
    expect(stream.push(tokenizer.encode('😀')[0])).toBe('')
    expect(stream.end()).toBe('\ufffd')
  })
})

describe.skipIf(!hasShared)(`byte-fallback tokenizer${skipNote}`, () => {
  it('encodes the golden prompts and returns every text', () => {
    const tokenizer = open(stories)
    for (const { text, promptIds } of storiesPrompts()) {
      expect(tokenizer.encode(text)).toEqual(promptIds)
    }
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  })

  it('drops the first space of a text, not of a continuation', () => {
    const tokenizer = open(stories)
    const [bos, once] = tokenizer.encode('Once')
    expect(tokenizer.stream([bos]).push(once)).toBe('Once')
    expect(tokenizer.stream([bos, once]).push(once)).toBe(' Once')
  })

  it('streams bytes in whole code points', () => {
    const tokenizer = open(stories)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 3, max: 511 })), (ids) => {
        const stream = tokenizer.stream()
        const pieces = [...ids.map((id) => stream.push(id)), stream.end()]
        expect(pieces.every(wellFormed)).toBe(true)
        expect(pieces.join('')).toBe(tokenizer.decode(ids))
      }),
    )
  })
})

describe('a tokenizer.json that is refused', () => {
  const json = readJson(join(fixture, 'tokenizer.json'))

  it.each<[string, unknown, RegExp]>([
    ['no object', 7, /tokenizer\.json: the file is not an object/],
    ['no decoder', { ...json, decoder: null }, /decoder is not an object/],
    ['unknown decoder', { ...json, decoder: { type: 'WordPiece' } }, /decoder\.type "WordPiece"/],
    [
      'unknown step',
      { ...json, decoder: { type: 'Sequence', decoders: [{ type: 'CTC' }] } },
      /decoder\.decoders\.type "CTC"/,
    ],
    [
      'pattern that is a regular expression',
      {
        ...json,
        decoder: {
          type: 'Sequence',
          decoders: [{ type: 'Replace', pattern: { Regex: '.' }, content: '' }],
        },
      },
      /Replace of nothing is not supported/,
    ],
    ['unknown model', { ...json, model: { type: 'Magic' } }, /tokenizer\.json: .*Magic/],
  ])('%s', (_, changed, message) => {
    expect(() => parseTokenizer(changed)).toThrow(message)
  })
})
