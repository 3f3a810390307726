import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ArgumentError, FormatError } from '#src/errors.js'
import type { ChatMessage } from '#src/model/text/chat-messages.js'
import type { RenderOptions } from '#src/model/text/chat-template.js'
import { chatMl, headers, instructions } from './chat-templates.js'
import { parseTemplate } from './texts.js'

const tokens = { bos_token: '<s>', eos_token: '</s>' }
const parse = (source: unknown) => parseTemplate(source, tokens)
const render = (source: string, messages: ChatMessage[], options?: RenderOptions) =>
  parse(source).render(messages, options)

const system: ChatMessage = { role: 'system', content: ' Be brief. ' }
const question: ChatMessage = { role: 'user', content: 'Who?' }
const answer: ChatMessage = { role: 'assistant', content: 'Romeo.' }
const tool = { type: 'function', function: { name: 'see', parameters: { who: 'naïve "é"' } } }

describe('ChatML', () => {
  it('writes turns', () => {
    expect(render(chatMl, [question])).toBe(
      '<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n',
    )
    expect(render(chatMl, [system, question, answer], { addGenerationPrompt: false })).toBe(
      '<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n' +
        '<|im_start|>assistant\nRomeo.<|im_end|>\n',
    )
  })

  it('reads further variables', () => {
    expect(render(chatMl, [question], { templateOptions: { enable_thinking: false } })).toMatch(
      /assistant\n<think>\n\n<\/think>\n\n$/,
    )
    expect(render(chatMl, [question], { templateOptions: { enable_thinking: true } })).toMatch(
      /assistant\n$/,
    )
  })

  it('drops the reasoning of past turns, and no white space but line breaks', () => {
    const thinking = { ...answer, content: '<think>\nHm.\n</think>\n\n  Romeo.' }
    expect(render(chatMl, [question, thinking, question])).toContain(
      'assistant\n  Romeo.<|im_end|>',
    )
    expect(render(chatMl, [question, thinking])).toContain(
      'assistant\n<think>\nHm.\n</think>\n\n  Romeo.<|im_end|>',
    )
    const thought = { ...answer, thought: '\n Hm. \n' }
    expect(render(chatMl, [question, thought])).toContain('<think>\n Hm. \n</think>\n\nRomeo.')
  })

  it('writes tools, calls and their results', () => {
    const calls = [
      { name: 'see', arguments: { who: 'Juliet', floor: 1 } },
      { name: 'hear', arguments: '{}' },
    ]
    const results: ChatMessage[] = [
      { role: 'tool', content: 'a window' },
      { role: 'tool', content: 'a name' },
    ]
    const messages = [question, { ...answer, content: '', calls }, ...results]
    expect(render(chatMl, messages, { tools: [tool] })).toBe(
      '<|im_start|>system\nFunctions:\n' +
        '{"type": "function", "function": {"name": "see", "parameters": {"who": "naïve \\"é\\""}}}' +
        '<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n' +
        '<call>see {"who": "Juliet", "floor": 1}</call>\n<call>hear {}</call><|im_end|>\n' +
        '<|im_start|>user\n<result>a window</result>\n<result>a name</result><|im_end|>\n' +
        '<|im_start|>assistant\n',
    )
  })

  it('returns any content unchanged', () => {
    const template = parse(chatMl)
    const role = fc.constantFrom('user' as const, 'assistant' as const)
    const content = fc.string({ unit: 'binary' }).filter((text) => !text.includes('</think>'))
    fc.assert(
      fc.property(fc.array(fc.record({ role, content }), { minLength: 1 }), (messages) => {
        const turns = messages.map((m) => `<|im_start|>${m.role}\n${m.content}<|im_end|>\n`)
        expect(template.render(messages)).toBe(`${turns.join('')}<|im_start|>assistant\n`)
      }),
    )
  })
})

describe('headers, as of Llama 3', () => {
  afterEach(() => vi.useRealTimers())

  it("writes turns after today's date", () => {
    vi.useFakeTimers({ now: new Date(2026, 4, 3) })
    expect(render(headers, [system, question])).toBe(
      '<s><|start_header_id|>system<|end_header_id|>\n\nToday: 03 May 2026\nBe brief.<|eot_id|>\n' +
        '<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>\n' +
        '<|start_header_id|>assistant<|end_header_id|>\n\n',
    )
  })

  it('writes tools, and takes another date', () => {
    const options = {
      tools: [{ a: [] }],
      templateOptions: { date_string: '1 Jan' },
      addGenerationPrompt: false,
    }
    expect(render(headers, [question], options)).toBe(
      '<s><|start_header_id|>system<|end_header_id|>\n\nToday: 1 Jan\n{\n    "a": []\n}\n<|eot_id|>\n' +
        '<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>',
    )
  })
})

describe('instructions, as of Mistral', () => {
  it('writes turns', () => {
    expect(render(instructions, [system, question, answer, question])).toBe(
      '<s>[INST] Be brief.\n\nWho? [/INST] Romeo.</s>[INST] Who? [/INST]',
    )
  })

  it('refuses turns that do not alternate', () => {
    const call = () => render(instructions, [question, question])
    expect(call).toThrow(ArgumentError)
    expect(call).toThrow(/messages: .*chat_template\.jinja accepts, got .*roles must alternate/)
  })
})

describe('str.strip', () => {
  it('strips the characters that it is given', () => {
    const unit = fc.constantFrom('a', 'b', ' ', '\n', '😀')
    const text = fc.string({ unit })
    const set = fc.string({ unit, minLength: 1 })
    fc.assert(
      fc.property(text, set, (content, chars) => {
        const source = [`''.strip()`, `m.strip(chars)`, `m.lstrip(chars)`, `m.rstrip(chars)`]
        const template = `{% set m = messages[0].content %}{{ [${source}] | join('|') }}`
        const start = new RegExp(`^[${chars}]+`, 'u')
        const end = new RegExp(`[${chars}]+$`, 'u')
        const lstripped = content.replace(start, '')
        const expected = ['', lstripped.replace(end, ''), lstripped, content.replace(end, '')]
        const options = { templateOptions: { chars } }
        expect(render(template, [{ role: 'user', content }], options)).toBe(expected.join('|'))
      }),
    )
  })
})

describe('range', () => {
  it.each([
    ['3', '0 1 2'],
    ['1, 4', '1 2 3'],
    ['5, 0, -2', '5 3 1'],
    ['0, 5, 2', '0 2 4'],
    ['2, 1', ''],
  ])('(%s)', (range, expected) => {
    expect(render(`{{ range(${range}) | join(' ') }}`, [question])).toBe(expected)
  })
})

describe('parse', () => {
  it('takes the default one of several templates', () => {
    const templates = [
      { name: 'tool_use', template: 'b' },
      { name: 'default', template: 'a' },
    ]
    expect(parse(templates).render([question])).toBe('a')
  })

  it.each<[string, unknown, RegExp]>([
    [
      'a number as a template',
      7,
      /tokenizer_config\.json: chat_template: expected a text or a list, got 7/,
    ],
    ['no default', [{ name: 'rag', template: 'a' }], /no text is named "default"/],
    ['a template that is not a string', [{ name: 'default' }], /no text is named "default"/],
    ['an entry that is not an object', ['a'], /chat_template is not an object/],
    ['open block', '{% if true %}', /chat_template\.jinja: the chat template does not parse: /],
    ['unknown statement', '{% frobnicate %}', /does not parse: .*frobnicate/],
  ])('refuses %s', (_, source, message) => {
    expect(() => parse(source)).toThrow(FormatError)
    expect(() => parse(source)).toThrow(message)
  })
})

describe('render refuses', () => {
  it.each<[string, unknown, Record<string, unknown>, RegExp]>([
    [
      'messages that are not an array',
      'hi',
      {},
      /messages: expected an array of at least one message, got "hi"/,
    ],
    ['a missing message', [], {}, /messages: expected an array of at least one message, got none/],
    [
      'a string as a message',
      [question, 'hi'],
      {},
      /messages\[1\]: expected \{ role, content \}, got "hi"/,
    ],
    ['a role', [{ ...question, role: 'bard' }], {}, /messages\[0\]\.role: .*got "bard"/],
    [
      'a message without content',
      [{ role: 'user' }],
      {},
      /messages\[0\]\.content: expected a string/,
    ],
    ['a flag', [question], { addGenerationPrompt: 1 }, /addGenerationPrompt: expected true or/],
    ['an unknown option', [question], { tool: [] }, /options: expected tools, got the unknown/],
  ])('%s', (_, messages, options, message) => {
    const call = () => parse('a').render(messages as ChatMessage[], options)
    expect(call).toThrow(ArgumentError)
    expect(call).toThrow(message)
  })

  it('messages without a template', () => {
    const call = () => parse(undefined).render([question])
    expect(call).toThrow(ArgumentError)
    expect(call).toThrow(/messages: .*chat template; a plain prompt works without one, got none in/)
  })

  it.each([
    ['{{ messages | frobnicate }}', /chat_template\.jinja: the chat template fails: .*frobnicate/],
    ['{{ messages.strip("a") }}', /strip\(\) of something that is no string/],
    ['{{ strftime_now("%Q") }}', /strftime: %Q is not supported/],
    ['{{ range(1, 2, 0) }}', /range\(\) by steps of zero/],
  ])('%s', (source, message) => {
    const call = () => render(source, [question])
    expect(call).toThrow(FormatError)
    expect(call).toThrow(message)
  })
})
