import { describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import type { ChatMessage, ToolCall } from '#src/model/text/chat-messages.js'
import type { RenderOptions } from '#src/model/text/chat-template.js'
import { calls, chatMl, headers, instructions, parted, signatures } from './chat-templates.js'
import { parseTemplate } from './texts.js'

const tokens = { bos_token: '<s>', eos_token: '</s>' }
const parse = (source: unknown) => parseTemplate(source, tokens)
const render = (source: string, messages: ChatMessage[], options?: RenderOptions) =>
  parse(source).render(messages, options)

const question: ChatMessage = { role: 'user', content: 'Who?' }
const answer: ChatMessage = { role: 'assistant', content: 'Romeo.' }
const result: ChatMessage = { role: 'tool', content: 'a window', tool_call_id: 'x' }
const call: ToolCall = {
  id: 'x',
  type: 'function',
  function: { name: 'see', arguments: '{"who": 1}' },
}
const asked: ChatMessage = { role: 'assistant', tool_calls: [call] }
const parts = (...texts: string[]) => texts.map((text) => ({ type: 'text' as const, text }))

describe('a message without content', () => {
  const written =
    '{% for m in messages %}{{ m.role }} {{ "content" in m }} {{ m.content is defined }};{% endfor %}'

  it.each([null, undefined])('can carry tool calls: %s', (content) => {
    const rendered = render(calls, [question, { ...asked, content }, result, answer])
    expect(rendered).toBe(
      '[INST] Who?[/INST][CALLS] [{"id": "x", "type": "function", "function": ' +
        '{"name": "see", "arguments": {"who": 1}}}] a window</s> Romeo.</s>',
    )
  })

  it('reaches the template without empty fields', () => {
    const message = { ...asked, content: null, refusal: null }
    expect(render(written, [question, message])).toBe('user true true;assistant false false;')
    expect(render('{{ messages[0] | tojson }}', [{ ...question, name: null }])).toBe(
      '{"role": "user", "content": "Who?"}',
    )
  })

  it.each<[string, object]>([
    ['neither content nor tool calls', { role: 'assistant' }],
    ['an empty list of tool calls', { role: 'assistant', content: null, tool_calls: [] }],
    ['null as the content of a user', { role: 'user', content: null }],
  ])('is refused with %s', (_, message) => {
    const render = () => parse(calls).render([message as ChatMessage])
    expect(render).toThrow(ArgumentError)
    expect(render).toThrow(/^messages\[0\]\.content: expected a string, or parts of text, got /)
  })
})

describe('content in parts', () => {
  it('reaches a template unchanged if the template writes parts', () => {
    const system: ChatMessage = { role: 'system', content: parts('Be brief.') }
    const messages = [system, { ...question, content: parts('Who', ' is it?') }, answer]
    expect(render(parted, messages)).toBe(
      'system:<Be brief.>;user:<Who>< is it?>;assistant:Romeo.;',
    )
  })

  it.each([
    ['ChatML', chatMl, '<|im_start|>user\nWho is it?<|im_end|>'],
    ['headers', headers, 'user<|end_header_id|>\n\nWho is it?<|eot_id|>'],
    ['instructions', instructions, '[INST] Who is it? [/INST]'],
    [
      'prints nothing for parts',
      '{{ messages[0].content if messages[0].content is string }}',
      'Who is it?',
    ],
    ['prints parts as JSON', '{{ messages[0].content }}', 'Who is it?'],
  ])('becomes one string for a template that does not write parts: %s', (_, source, expected) => {
    expect(render(source, [{ ...question, content: parts('Who', 'is it?') }])).toContain(expected)
  })

  it('is supported separately for each role', () => {
    const source = `{% for m in messages %}{% if m.role == 'user' %}{% for p in m.content %}{{ p.text }}{% endfor %}{% else %}{{ m.content }}{% endif %};{% endfor %}`
    const content = parts('a', 'b')
    expect(
      render(source, [
        { role: 'user', content },
        { ...answer, content },
      ]),
    ).toBe('ab;a b;')
  })

  it.each<[string, unknown, RegExp]>([
    ['an image', { type: 'image_url', image_url: {} }, /got type "image_url"$/],
    ['no text', { type: 'text' }, /got type "text"$/],
    ['no part', 'Who?', /got "Who\?"$/],
  ])('is refused with %s', (_, part, got) => {
    const content = [...parts('a'), part] as ChatMessage['content']
    const render = () => parse(parted).render([{ role: 'user', content }])
    expect(render).toThrow(ArgumentError)
    expect(render).toThrow(/^messages\[0\]\.content\[1\]: expected \{ type: 'text', text \}/)
    expect(render).toThrow(got)
  })
})

describe('a developer message', () => {
  const developer: ChatMessage = { role: 'developer', content: 'Be brief.' }

  it('reaches a template unchanged if the template writes it', () => {
    expect(render(parted, [developer, question])).toBe('developer:Be brief.;user:Who?;')
  })

  it('becomes a system message for a template that would drop or refuse it', () => {
    expect(render(chatMl, [developer, question])).toContain('<|im_start|>system\nBe brief.')
    expect(render(instructions, [developer, question])).toBe('<s>[INST] Be brief.\n\nWho? [/INST]')
    const inParts: ChatMessage = { ...developer, content: parts('Be', 'brief.') }
    expect(render(chatMl, [inParts, question])).toContain('<|im_start|>system\nBe brief.')
  })
})

describe('Jinja as on Python', () => {
  it('selects by missing attributes', () => {
    expect(() => render(calls, [question, question])).toThrow(/roles must alternate/)
    expect(render(calls, [question, answer, question])).toBe(
      '[INST] Who?[/INST] Romeo.</s>[INST] Who?[/INST]',
    )
    const missing = `{{ messages | rejectattr("tool_calls", "undefined") | map(attribute="role") | join(" ") }}`
    expect(render(missing, [question, asked, result])).toBe('assistant')
  })

  it('writes tools of every type, as Hermes does', () => {
    const types = ['string', ['integer', 'string'], 'array', undefined]
    const properties = Object.fromEntries(types.map((type, i) => ['abcd'[i], { type, items: {} }]))
    const tools = [{ name: 'see', parameters: { properties } }]
    expect(render(signatures, [question], { tools })).toBe(
      'see(a: str, b: Union[int,str], c: list[Union[]], d: Union[])\nuser: Who?',
    )
  })

  it.each([
    ['{{ {"a": 1}[none] is defined }}', 'false'],
    ['{{ {"a": 1}[["a"]] is defined }}', 'false'],
    ['{% set k = "a" %}{{ {"a": 1}[k] }}{{ [5, 6][messages | length] }}', '16'],
    ['{{ {"a": 1} is iterable }} {{ nothing is iterable }} {{ 1 is iterable }}', 'true true false'],
    ['{{ 1 is not iterable }}', 'true'],
    ['{% for x in nothing %}a{% else %}b{% endfor %}', 'b'],
    ['{% for x in nothing.at if x %}a{% endfor %}c', 'c'],
    ['{{ nothing | trim }}{{ nothing | length }}{{ nothing | map(attribute="a") | join }}', '0'],
    ['{{ {"a": [1]} == {"a": [1]} }} {% set a = {"b": 1} %}{{ a != {"b": 2} }}', 'true true'],
    ['{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns["a"] }}', '2'],
  ])('%s', (source, expected) => {
    expect(render(source, [question])).toBe(expected)
  })
})

it('uses the tool template if there is one and there are tools', () => {
  const templates = [
    { name: 'default', template: 'plain' },
    { name: 'tool_use', template: 'tools' },
  ]
  expect(parse(templates).render([question])).toBe('plain')
  expect(parse(templates).render([question], { tools: [{}] })).toBe('tools')
  expect(parse(templates.slice(0, 1)).render([question], { tools: [{}] })).toBe('plain')
})
