import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixture, temporaryFolder } from '../model/support.js'
import { needLibrary } from '../support/isas.js'
import { dotpool, type RunOptions } from './run.js'

needLibrary()

/** Writes every message under its role, as in a play. Refuses to call anybody a fool. */
const TEMPLATE = [
  "{% for message in messages %}{% if message.content == 'fool' %}",
  "{{ raise_exception('no insults') }}{% endif %}",
  '{{ message.role | upper }}:\n{{ message.content }}\n\n{% endfor %}',
  '{% if add_generation_prompt %}ROMEO:\n{% endif %}',
].join('')

let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  folder = await temporaryFolder()
  await cp(fixture, folder.path, { recursive: true })
  const config = JSON.stringify({ chat_template: TEMPLATE })
  await writeFile(join(folder.path, 'tokenizer_config.json'), config)
})

afterAll(() => folder[Symbol.asyncDispose]())

/** Chats with the model, greedily. */
function chat(input: string, args: string[] = ['--max-tokens', '12'], options: RunOptions = {}) {
  const all = ['chat', '--model', folder.path, '--temperature', '0', ...args]
  return dotpool(all, { ...options, input })
}

const answers = new Map<string, Promise<string>>()

/** The model's answers to these lines, computed once for all tests. */
async function answerTo(input: string, args?: string[]): Promise<string> {
  const key = JSON.stringify([input, args])
  const answer = answers.get(key) ?? chat(input, args).then(({ stdout }) => stdout)
  answers.set(key, answer)
  return await answer
}

test.concurrent('a line from a pipe is a turn, and stdout gets the answers only', async () => {
  const { code, stdout, stderr } = await chat('Who is there?\n')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^\S[^>]*\n$/)
  expect(stderr).toBe('')
})

test.concurrent('the last line needs no line break, and empty lines are no turns', async () => {
  const { code, stdout } = await chat('\n  \nWho is there?')
  expect(code).toBe(0)
  expect(stdout).toBe(await answerTo('Who is there?\n'))
})

test.concurrent('the conversation is kept until /reset', async () => {
  const once = await answerTo('Who is there?\n')
  const first = await answerTo('My lord, the queen is dead!\n')
  const both = await answerTo('My lord, the queen is dead!\nWho is there?\n')
  expect(both.startsWith(first)).toBe(true)
  expect(both).not.toBe(first + once)
  const anew = await answerTo('My lord, the queen is dead!\n/reset\nWho is there?\n')
  expect(anew).toBe(first + once)
})

test.concurrent('--system comes first, and survives /reset', async () => {
  const args = ['--max-tokens', '12', '--system', 'My lord, the queen is dead!']
  const told = await answerTo('Who is there?\n', args)
  expect(told).not.toBe(await answerTo('Who is there?\n'))
  expect(await answerTo('Who is there?\n/reset\nWho is there?\n', args)).toBe(told + told)
})

test.concurrent('an answer can be as long as the context', async () => {
  const input = 'Who is there?\n'
  const { stdout } = await chat(input, ['--max-context', '64'])
  const short = (await answerTo(input)).trimEnd()
  expect(stdout.startsWith(short)).toBe(true)
  expect(stdout.length).toBeGreaterThan(2 * short.length)
})

test.concurrent('Ctrl-C stops the answer only', async () => {
  const input = 'Who is there?\n/reset\nWho is there?\n'
  const length = ['--max-tokens', '24']
  const whole = await answerTo('Who is there?\n', length)
  // slow enough to be interrupted: the answer would take seconds
  const slowly = { env: { DOTPOOL_ISA: 'typescript' }, interrupt: true }
  const { code, stdout, stderr } = await chat(input, length, slowly)
  expect(code).toBe(0)
  expect(stderr).toBe('')
  expect(stdout.endsWith(whole)).toBe(true)
  const stopped = stdout.slice(0, -whole.length)
  expect(stopped).toMatch(/\n$/)
  expect(stopped.length).toBeLessThan(whole.length)
  expect(whole.startsWith(stopped.slice(0, -1))).toBe(true)
})

test.concurrent('a turn that fails prints one line of error, and leaves the conversation as it was', async () => {
  const { code, stdout, stderr } = await chat('fool\nWho is there?\n')
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: messages: expected .*, got no insults\n$/)
  expect(stdout).toBe(await answerTo('Who is there?\n'))
})

test.concurrent.each([
  [['--top-p', '2'], 'topP: expected'],
  [['--system', 'fool'], 'no insults'],
])('chat %j fails before the first turn', async (args, message) => {
  const { code, stdout, stderr } = await chat('Who is there?\n', args)
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
})

test.concurrent('a checkpoint without a chat template can still generate', async () => {
  const { code, stderr } = await dotpool(['chat', '--model', fixture])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: model: .* a chat template \(`dotpool generate` .*\n$/)
})
