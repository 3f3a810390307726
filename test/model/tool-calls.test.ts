import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import type { ChatMessage } from '#src/model/text/chat-messages.js'
import type { RenderOptions } from '#src/model/text/chat-template.js'
import { parseTemplate } from './texts.js'
import { conversation, documented, styles, tools, variables } from './tool-templates.js'

const parse = (source: unknown) => parseTemplate(source, { bos_token: '<s>', eos_token: '</s>' })
const render = (source: string, messages: ChatMessage[], options?: RenderOptions) =>
  parse(source).render(messages, options)

const [, question, asked] = conversation
const callOf = (called: unknown) =>
  ({ ...asked, tool_calls: [{ function: called }] }) as ChatMessage

describe('a conversation with tools', () => {
  it.each(styles)('is written as Jinja on Python writes it: $name', ({ template, text }) => {
    expect(render(template, conversation, { tools, templateOptions: variables })).toBe(text)
  })

  it.each(styles)(
    'is the same with arguments in JSON, as servers have them: $name',
    ({ template, text }) => {
      const messages = conversation.map((message) => {
        const calls = message.tool_calls?.map((call) => {
          return { ...call, function: { ...call.function, arguments: '{"city":"Rome","days":2}' } }
        })
        return { ...message, tool_calls: calls ?? [] }
      })
      expect(render(template, messages, { tools, templateOptions: variables })).toBe(text)
    },
  )

  it('gives a call without arguments an empty object', () => {
    const dump = '{{ messages[0].tool_calls | tojson }}'
    const expected = '[{"function": {"name": "f", "arguments": {}}}]'
    for (const called of [{ name: 'f' }, { name: 'f', arguments: '' }]) {
      expect(render(dump, [callOf(called)])).toBe(expected)
    }
  })

  it.each<[string, unknown, RegExp]>([
    ['a call without a function', { tool_calls: [{ name: 'f' }] }, /tool_calls\[0\]: expected {/],
    ['a call without a name', { tool_calls: [{ function: {} }] }, /tool_calls\[0\]: expected {/],
    ['one call', { tool_calls: { function: { name: 'f' } } }, /tool_calls: expected an array/],
    ['an id of a call', { tool_call_id: 7 }, /tool_call_id: expected a string, got 7/],
    ['a thought', { reasoning_content: [] }, /reasoning_content: expected a string, got Array/],
    [
      'arguments that are broken',
      callOf({ name: 'f', arguments: '{"a":' }),
      /tool_calls\[0\]\.function\.arguments: expected an object, or the JSON of one, got "{/,
    ],
    [
      'arguments that are a list',
      callOf({ name: 'f', arguments: '[1]' }),
      /tool_calls\[0\]\.function\.arguments: expected an object, or the JSON of one/,
    ],
    [
      'arguments that nest too deep',
      callOf({ name: 'f', arguments: `{"a":${'['.repeat(200)}${']'.repeat(200)}}` }),
      /^messages: expected at most 100 levels in all, got more/,
    ],
  ])('is refused with %s', (_, fields, message) => {
    const call = () => render('a', [question, { ...asked, ...(fields as object) }])
    expect(call).toThrow(ArgumentError)
    expect(call).toThrow(message)
  })
})

describe('variables', () => {
  it('reach the template, as documents do', () => {
    const { template, text } = documented
    expect(render(template, [question], { templateOptions: variables })).toBe(text)
  })

  it('may stand for special tokens and functions, as in transformers', () => {
    const template = '{{ bos_token }}{{ namespace }}{{ range }}{{ __proto__ }}'
    const options = JSON.parse(
      '{ "bos_token": "a", "namespace": "b", "range": "c", "__proto__": "d" }',
    )
    expect(render(template, [question], { templateOptions: options })).toBe('abcd')
  })

  it('are null where a template asks for documents or tools that there are none of', () => {
    expect(render('{{ documents is none }} {{ tools is none }}', [question])).toBe('true true')
  })
})

describe('a template', () => {
  it.each([
    ['a text again and again', `{% for i in range(20000) %}${'a'.repeat(1000)}{% endfor %}`],
    ['a message again and again', '{% for i in range(20000) %}{{ messages }}{% endfor %}'],
    [
      'a variable that grows',
      `{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`,
    ],
  ])('that writes without bound is stopped: %s', (_, template) => {
    const content = 'a'.repeat(1000)
    const call = () => render(template, [{ role: 'user', content }])
    const problem = 'the chat template fails: it writes more than 16777216 characters'
    expect(call).toThrow(expect.objectContaining({ name: 'FormatError', problem }))
  })

  it('that makes a list without bound is stopped', () => {
    const grow = '{% set ns.x = ns.x + ns.x %}'
    const template = `{% set ns = namespace(x=[1, 2]) %}{% for i in range(99) %}${grow}{% endfor %}`
    const problem = 'the chat template fails: it makes a list of more than 1048576 items'
    const call = () => render(template, [{ role: 'user', content: 'a' }])
    expect(call).toThrow(expect.objectContaining({ name: 'FormatError', problem }))
  })

  it('may write as much as its messages have', () => {
    const content = 'a'.repeat(1 << 23)
    const template = '{% for m in messages %}{% if true %}{{ m.content }}{% endif %}{% endfor %}'
    expect(render(template, [{ role: 'user', content }])).toHaveLength(1 << 23)
  })
})
