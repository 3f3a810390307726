import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArgumentError, FormatError } from '#src/errors.js'
import type { Tokenizer } from '#src/model/text/tokenizer.js'
import { headers } from './chat-templates.js'
import { parseTokenizer as parse, parseTemplate } from './texts.js'
import { llama2, llama3, metaspace, qwen } from './tokenizers.js'

const plain = { addSpecialTokens: false }

/** Texts of any script: emoji of several code points, combining characters, and no special token. */
const text = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'hey',
        ' hey',
        ' ',
        '  ',
        '\n',
        "'S",
        '1234',
        '😀',
        '👩‍🚀',
        '🇫🇷',
        'e\u0301',
        'น้ำ',
        '▁',
      ),
    ),
  )
  .map((parts) => parts.join('').replaceAll('<', ''))

const wellFormed = (piece: string) => !/\p{Surrogate}/u.test(piece)

/** Decodes tokens one at a time, after `context`. */
function pieces(tokenizer: Tokenizer, ids: number[], context: number[] = []): string[] {
  const stream = tokenizer.stream(context)
  return [...ids.map((id) => stream.push(id)), stream.end()]
}

const kinds = [
  { kind: 'Llama 3', json: llama3, begin: '<|begin_of_text|>', end: '<|eot_id|>', adds: true },
  { kind: 'Qwen', json: qwen, begin: '<|im_start|>', end: '<|im_end|>', adds: false },
  { kind: 'Llama 2', json: llama2, begin: '<s>', end: '</s>', adds: true },
  { kind: 'Metaspace', json: metaspace, begin: '<s>', end: '</s>', adds: true },
]

describe.each(kinds)('$kind', ({ json, begin, end, adds }) => {
  const tokenizer = parse(json)
  const [beginId, endId] = [begin, end].map(
    (token) => json.added_tokens.find(({ content }) => content === token)?.id,
  )

  it('adds special tokens unless it is told not to', () => {
    const ids = tokenizer.encode('hey', plain)
    expect(ids).not.toContain(beginId)
    expect(tokenizer.encode('hey')).toEqual(adds ? [beginId, ...ids] : ids)
  })

  it('encodes special tokens in a text, each as one token', () => {
    const ids = tokenizer.encode(`${begin}hey${end}${begin}`, plain)
    expect([ids[0], ...ids.slice(-2)]).toEqual([beginId, endId, beginId])
    expect(ids.filter((id) => id === beginId || id === endId)).toHaveLength(3)
    expect(tokenizer.decode(ids)).toBe('hey')
  })

  it('streams any tokens in whole code points that add up to the text', () => {
    const id = fc.integer({ min: 0, max: Object.keys(json.model.vocab).length + 3 })
    fc.assert(
      fc.property(fc.array(id), (ids) => {
        const given = pieces(tokenizer, ids)
        expect(given.every(wellFormed)).toBe(true)
        expect(given.join('')).toBe(tokenizer.decode(ids))
      }),
    )
  })
})

const same = (value: string) => value

/** SentencePiece writes a space as `▁`, so that a `▁` in a text decodes to a space. */
const blocksAsSpaces = (value: string) => value.replaceAll('▁', ' ')

describe.each([
  { kind: 'Llama 3', json: llama3, normal: same },
  { kind: 'Qwen', json: qwen, normal: (value: string) => value.normalize('NFC') },
  { kind: 'Llama 2', json: llama2, normal: blocksAsSpaces },
])('$kind, whose vocabulary has every byte,', ({ json, normal }) => {
  const tokenizer = parse(json)

  it('returns every text, as it is normalised', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(tokenizer.decode(tokenizer.encode(value))).toBe(normal(value))
      }),
    )
  })

  it('streams a text in whole code points from any token on', () => {
    fc.assert(
      fc.property(text, fc.nat(), (value, cut) => {
        const ids = tokenizer.encode(value)
        const split = cut % (ids.length + 1)
        const before = tokenizer.stream()
        const start = ids.slice(0, split).map((id) => before.push(id))
        const given = pieces(tokenizer, ids.slice(split), ids.slice(0, split))
        expect(given.every(wellFormed)).toBe(true)
        expect([...start, ...given].join('')).toBe(normal(value))
      }),
    )
  })
})

it.each([
  ['▁', ' '],
  ['▁hey', ' hey'],
  ['hey▁▁hey', 'hey  hey'],
  [' ▁ ', '   '],
])('Llama 2 cannot tell %j from %j', (value, given) => {
  const tokenizer = parse(llama2)
  expect(tokenizer.encode(value)).toEqual(tokenizer.encode(given))
  expect(tokenizer.decode(tokenizer.encode(value))).toBe(given)
})

it('takes words of the vocabulary whole where merges are ignored', () => {
  const { he, hey, h, e } = llama3.model.vocab
  expect(parse(llama3).encode('he', plain)).toEqual([he])
  expect(parse(llama3).encode('hey', plain)).toEqual([hey])
  const merging = { ...llama3, model: { ...llama3.model, ignore_merges: false } }
  expect(parse(merging).encode('he', plain)).toEqual([h, e])
})

it("adds one beginning-of-sequence token to a chat template's text", () => {
  const [bos, eot] = llama3.added_tokens
  const tokens = { bos_token: bos.content }
  const template = parseTemplate(headers, tokens)
  const rendered = template.render([{ role: 'user', content: 'hey' }])
  const ids = parse(llama3).encode(rendered, plain)
  expect(ids.filter((id) => id === bos.id)).toHaveLength(1)
  expect(ids.filter((id) => id === eot.id)).toHaveLength(2)
})

it('decodes added tokens that are not special', () => {
  const tokenizer = parse(qwen)
  const ids = tokenizer.encode('<|im_start|><think>hey', plain)
  expect(ids).toHaveLength(3)
  expect(tokenizer.decode(ids)).toBe('<think>hey')
})

/** Texts as Hugging Face's tokenizers decode them. */
describe('an added token that is not special goes through the decoder', () => {
  const withAdded = (json: typeof qwen | typeof llama2, ...contents: string[]) => {
    const first = Object.keys(json.model.vocab).length + 10
    const added = contents.map((content, i) => ({
      ...json.added_tokens[0],
      id: first + i,
      content,
      special: false,
    }))
    return parse({ ...json, added_tokens: [...json.added_tokens, ...added] })
  }

  it.each([
    ['<0xE2>', '\ufffd'],
    ['\n\n', '\n\n'],
    ['<a▁b>', '<a b>'],
  ])('of SentencePiece: %j', (content, given) => {
    const tokenizer = withAdded(llama2, content)
    expect(tokenizer.decode(tokenizer.encode(`hey${content}hey`, plain))).toBe(`hey${given} hey`)
  })

  it('a vocabulary piece equal to an added token does too', () => {
    const { '▁▁': id } = llama2.model.vocab
    const added = { ...llama2.added_tokens[0], id, content: '▁▁', special: false }
    const normalizer = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
    const tokenizer = parse({
      ...llama2,
      normalizer,
      added_tokens: [...llama2.added_tokens, added],
    })
    const ids = tokenizer.encode('hey  i', plain)
    expect(ids).toContain(id)
    expect(tokenizer.decode(ids)).toBe('hey  i')
  })

  it.each([
    ['Ġ', ' '],
    ['<é>', '<\ufffd>'],
    ['Ġhey x', 'Ġhey x'], // a space is no character of the alphabet
    ['😀é', '😀é'],
    ['  ', '  '],
  ])('of bytes: %j', (content, given) => {
    const tokenizer = withAdded(qwen, content)
    expect(tokenizer.decode(tokenizer.encode(`a${content}b`, plain))).toBe(`a${given}b`)
  })
})

describe('Metaspace', () => {
  const decoding = (decoder: object) => parse({ ...metaspace, decoder })
  const { '▁hey': word } = metaspace.model.vocab

  it('returns a text of its vocabulary', () => {
    const tokenizer = parse(metaspace)
    const unit = fc.constantFrom('hey', 'i', 'é', '!', ' ')
    fc.assert(
      fc.property(fc.string({ unit }), (value) => {
        fc.pre(!value.startsWith(' ')) // an existing space counts as the one to prepend
        expect(tokenizer.decode(tokenizer.encode(value))).toBe(value)
      }),
    )
  })

  it.each<[string, object, string]>([
    ['by default', {}, 'hey hey'],
    ['always', { replacement: '▁', prepend_scheme: 'always' }, 'hey hey'],
    ['never', { replacement: '▁', prepend_scheme: 'never' }, ' hey hey'],
    ['in the spelling of older files', { add_prefix_space: false }, ' hey hey'],
  ])('drops the space that was prepended: %s', (_, fields, expected) => {
    expect(decoding({ type: 'Metaspace', ...fields }).decode([word, word])).toBe(expected)
  })

  it('reads bytes only beside a ByteFallback', () => {
    const { '<0x41>': byte } = metaspace.model.vocab
    expect(decoding({ type: 'Metaspace' }).decode([byte])).toBe('<0x41>')
    const decoders = [{ type: 'ByteFallback' }, { type: 'Metaspace' }]
    expect(decoding({ type: 'Sequence', decoders }).decode([byte])).toBe('A')
  })

  it.each<[object, RegExp]>([
    [{ replacement: 7 }, /decoder: Metaspace of 7 is not supported/],
    [{ prepend_scheme: 'last' }, /decoder\.prepend_scheme "last" is not supported/],
  ])('refuses %o', (fields, message) => {
    expect(() => decoding({ type: 'Metaspace', ...fields })).toThrow(FormatError)
    expect(() => decoding({ type: 'Metaspace', ...fields })).toThrow(message)
  })
})

it('names its file where its parts are malformed', () => {
  const broken = parse({ ...llama2, post_processor: { type: 'TemplateProcessing', single: 2 } })
  expect(() => broken.encode('hey')).toThrow(FormatError)
  expect(() => broken.encode('hey')).toThrow(/^tokenizer\.json: the tokenizer fails: /)
})

it('refuses a decoder of bytes and pieces at once', () => {
  const decoder = { type: 'Sequence', decoders: [{ type: 'ByteLevel' }, { type: 'Metaspace' }] }
  expect(() => parse({ ...qwen, decoder })).toThrow(/decoder\.decoders\.type "Metaspace"/)
})

it('refuses a text that the vocabulary cannot spell', () => {
  const { a: _, ...vocab } = llama3.model.vocab
  const tokenizer = parse({ ...llama3, model: { ...llama3.model, vocab, unk_token: '<unk>' } })
  expect(() => tokenizer.encode('abc')).toThrow(ArgumentError)
})
