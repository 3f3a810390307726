import { DeadlineError, type Model, Pool } from 'dotpool'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { callSyntaxOf } from '#server/text/call-syntax.js'
import { HermesCalls } from '#server/text/hermes-calls.js'
import { Llama3Calls } from '#server/text/llama3-calls.js'
import { loadModel, post, start } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 1 })
})
afterAll(async () => await pool.close())

/** As Llama 3.1 has it, in short. */
const llama = `
{%- for message in messages %}
{%- if 'tool_calls' in message %}
{%- if not message.tool_calls|length == 1 %}{{ raise_exception('one call at once') }}{% endif %}
{%- set tool_call = message.tool_calls[0].function %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{{- '{"name": "' + tool_call.name + '", ' }}
{{- '"parameters": ' }}
{{- tool_call.arguments | tojson }}
{{- "}" }}
{%- else %}
{{- message.content }}
{%- endif %}
{%- endfor %}`

const plain = '{% for message in messages %}{{ message.content }}{% endfor %}'
const refusing = "{{ raise_exception('no tools') }}"

async function parserOf(model: Model) {
  return (await callSyntaxOf(model))?.makeParser()
}

it('the template shows how a model calls', async () => {
  expect(await parserOf(await loadModel(pool))).toBeInstanceOf(HermesCalls)
  expect(await parserOf(await loadModel(pool, {}, llama))).toBeInstanceOf(Llama3Calls)
  for (const template of [plain, refusing]) {
    expect(await parserOf(await loadModel(pool, {}, template))).toBeUndefined()
  }
})

it('a template that found no time is asked again', async () => {
  const model = await loadModel(pool)
  const { chatTemplate } = model
  let isBusy = true
  const renderAsync: typeof chatTemplate.renderAsync = async (...request) => {
    if (isBusy) throw new DeadlineError('chat_template.jinja', 'a conversation', 'try again')
    return await chatTemplate.renderAsync(...request)
  }
  const busy = { chatTemplate: { exists: true, renderAsync } } as Model
  await expect(callSyntaxOf(busy)).rejects.toThrow(DeadlineError)
  isBusy = false
  expect(await parserOf(busy)).toBeInstanceOf(HermesCalls)
})

it('tools are refused by a model that writes no calls', async () => {
  await using server = await start({ plain: await loadModel(pool, {}, plain) })
  const tools = [{ type: 'function', function: { name: 'f' } }]
  const messages = [{ role: 'user', content: 'a' }]
  const response = await post(`${server.url}/v1/chat/completions`, { messages, tools })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { param: 'tools' } })
})
