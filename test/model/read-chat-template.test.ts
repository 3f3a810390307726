import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readTextSource } from '#src/model/text/thread/text-source.js'
import { expectFormatError, temporaryFolder } from './support.js'
import { parseTexts } from './texts.js'

const messages = [{ role: 'user' as const, content: 'hi' }]

/** Reads the template of a folder with these files, and renders `messages`. */
async function render(files: Record<string, unknown>): Promise<string> {
  await using folder = await temporaryFolder()
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    await writeFile(join(folder.path, name), text)
  }
  return parseTexts(await readTextSource(folder.path)).chatTemplate.render(messages)
}

describe('the chat template of a folder', () => {
  const source = '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}'
  const config = {
    add_bos_token: true,
    bos_token: { content: '<s>', lstrip: false },
    eos_token: '</s>',
    pad_token: null,
  }

  it('comes from tokenizer_config.json', async () => {
    const file = { ...config, chat_template: source }
    expect(await render({ 'tokenizer_config.json': file })).toBe('<s>hi</s>')
  })

  it('comes from chat_template.jinja first', async () => {
    const file = { ...config, chat_template: 'not this' }
    const files = { 'tokenizer_config.json': file, 'chat_template.jinja': source }
    expect(await render(files)).toBe('<s>hi</s>')
    expect(await render({ 'chat_template.jinja': source })).toBe('hi')
  })

  it('is undefined where a checkpoint has none', async () => {
    await expect(render({})).rejects.toThrow(/messages: .*none in .*tokenizer_config\.json/)
    await expect(render({ 'tokenizer_config.json': config })).rejects.toThrow(/plain prompt/)
  })

  it.each<[string, unknown, RegExp]>([
    ['a file that is not an object', [], /tokenizer_config\.json: the file is not an object/],
    ['a token', { eos_token: 2 }, /tokenizer_config\.json: eos_token: expected a token, got 2/],
    ['a token object', { bos_token: {} }, /bos_token: expected a token, got an object/],
    ['a template', { chat_template: '{{' }, /tokenizer_config\.json: .*does not parse/],
  ])('refuses %s', async (_, file, message) => {
    await expectFormatError(render({ 'tokenizer_config.json': file }), message)
  })
})
