import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { encodePrompt } from '#src/model/generation/prompt.js'
import { Model } from '#src/model/model.js'
import type { ChatMessage } from '#src/model/text/chat-messages.js'
import { Pool } from '#src/pool/pool.js'
import { collect, fixture, temporaryFolder, writeCheckpoint, writeTokenizer } from './support.js'

let pool: Pool
beforeAll(async () => {
  pool = await Pool.create({ threads: 2 })
})
afterAll(async () => await pool.close())

const template =
  "{% for m in messages %}{{ m.role | upper + ':' + m.content + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"

const messages: ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Who?' },
]

describe('messages', () => {
  it('are written by the checkpoint’s chat template', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    await writeTokenizer(folder.path)
    const config = { chat_template: template }
    await writeFile(join(folder.path, 'tokenizer_config.json'), JSON.stringify(config))
    using model = await Model.load(pool, folder.path)
    const options = { maxTokens: 6, ignoreEnd: true }
    const text = 'SYSTEM:Be brief.\nUSER:Who?\nASSISTANT:'
    expect([...(await encodePrompt(model, messages))]).toEqual(
      model.tokenizer.encode(text, { addSpecialTokens: false }),
    )
    const answer = await collect(model.generate(messages, options))
    expect(answer).toEqual(await collect(model.generate(text, options)))
    expect(answer.join('')).not.toBe('')
  })

  it('bring tools and variables to the template', async () => {
    await using folder = await temporaryFolder()
    await writeCheckpoint(folder.path)
    await writeTokenizer(folder.path)
    const chat_template = '{{ tools[0].function.name }}{% if not enable_thinking %}!{% endif %}'
    await writeFile(join(folder.path, 'tokenizer_config.json'), JSON.stringify({ chat_template }))
    using model = await Model.load(pool, folder.path)
    const options = { maxTokens: 6, ignoreEnd: true }
    const tools = [{ type: 'function' as const, function: { name: 'weather' } }]
    const templateOptions = { enable_thinking: false }
    const run = model.generate(messages, { ...options, tools, templateOptions })
    tools[0].function.name = 'changed'
    expect(await collect(run)).toEqual(await collect(model.generate('weather!', options)))
    for (const prompt of ['weather!', [5]]) {
      expect(() => model.generate(prompt, { tools })).toThrow(/^tools: expected messages as/)
    }
    const tool = { type: 'function', function: { name: 5 } } as unknown as object
    expect(() => model.generate(messages, { tools: [tool] })).toThrow(/^tools\[0\]\.function\.name/)
  })

  it('are refused if malformed, or without a template', async () => {
    using model = await Model.load(pool, fixture)
    expect(() => model.generate(messages)).toThrow(ArgumentError)
    expect(() => model.generate(messages)).toThrow(
      /messages: expected a checkpoint with a chat template/,
    )
    const wrong = [{ role: 'nobody', content: 'x' }] as unknown as ChatMessage[]
    expect(() => model.generate(wrong)).toThrow(/messages\[0\]\.role/)
  })
})
