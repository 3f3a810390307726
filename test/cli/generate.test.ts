import { expect, test } from 'vitest'
import { dotpool } from './run.js'

const short = ['generate', 'ROMEO:', '--max-tokens', '16']
const likeliest = dotpool([...short, '--temperature', '0'])

test.concurrent('generate writes text and a summary', async () => {
  const { code, stdout, stderr } = await dotpool([
    'generate',
    'ROMEO:',
    '--max-tokens',
    '48',
    '--seed',
    '1',
    '--threads',
    '2',
  ])
  expect(code).toBe(0)
  expect(stdout.length).toBeGreaterThan(48)
  expect(stderr).toMatch(
    /^first text after \S+ m?s and \d+ tokens, then 4\d tokens at .* tokens\/s, .* GB\/s of weights, \d+ % of the time in steps, \w+ on 2 threads\n$/,
  )
})

test.concurrent('the same seed gives the same text', async () => {
  const args = ['generate', '--max-tokens', '12', '--seed', '7', '--top-k', '40', '--top-p', '0.9']
  const [a, b] = [await dotpool(args), await dotpool(args)]
  expect(a.stdout).toBe(b.stdout)
})

test.concurrent('--stop ends the text and can be repeated', async () => {
  const args = ['generate', 'ROMEO:', '--temperature', '0', '--max-tokens', '40']
  const whole = (await dotpool(args)).stdout
  const stops = [whole.slice(20, 26), whole.slice(12, 18)]
  const stopped = await dotpool([...args, ...stops.flatMap((stop) => ['--stop', stop])])
  expect(stopped.code).toBe(0)
  expect(stopped.stdout).toBe(`${whole.slice(0, whole.indexOf(stops[1]))}\n`)
})

test.concurrent.each([
  [['--min-p', '1']],
  [['--top-k', '1']],
  [['--temperature', '0', '--kv', 'float32']],
  [['--temperature', '0', '--quantize', 'none']],
])('generate %j writes the greedy text', async (options) => {
  const { code, stdout } = await dotpool([...short, ...options])
  expect(code).toBe(0)
  expect(stdout).toBe((await likeliest).stdout)
})

test.concurrent('--repetition-penalty changes the text', async () => {
  const { stdout } = await dotpool([...short, '--temperature', '0', '--repetition-penalty', '5'])
  expect(stdout).not.toBe((await likeliest).stdout)
})

test.concurrent('--response-format gives the text a form', async () => {
  const format = JSON.stringify({ type: 'choice', choices: ['yes', 'no'] })
  expect((await dotpool([...short, '--response-format', format])).stdout).toMatch(/^(yes|no)\n$/)
  const { code, stderr } = await dotpool([...short, '--response-format', '{'])
  expect([code, stderr]).toEqual([1, expect.stringContaining('Not JSON')])
})

test.concurrent('--max-context ends the text', async () => {
  const { stdout } = await dotpool([...short, '--temperature', '0', '--max-context', '5'])
  const whole = (await likeliest).stdout.trimEnd()
  expect(whole.startsWith(stdout.trimEnd())).toBe(true)
  expect(stdout.length).toBeLessThan(whole.length)
})

/** Options for a generation that takes a minute. */
const long = ['generate', '--max-tokens', '900']
const slowly = { env: { DOTPOOL_ISA: 'typescript' } }

test.concurrent('Ctrl-C ends the text, and the summary still follows', async () => {
  const { code, stdout, stderr } = await dotpool(long, { ...slowly, interrupt: true })
  expect(code).toBe(130)
  expect(stdout).toMatch(/\n$/)
  expect(stderr).toMatch(/^first text after .*\n$/)
})

test.concurrent('a closed stdout ends the text', async () => {
  const { code, stderr } = await dotpool(long, { ...slowly, hangUp: true })
  expect(code).toBe(0)
  expect(stderr).toBe('')
})

test.concurrent.each([
  [
    ['--model', '/no/such/folder'],
    "'/no/such/folder' is invalid. There is no such folder or file.",
  ],
  [['--model', 'package.json'], 'package.json: is not a GGUF file'],
  [['--model', 'src'], 'It has no config.json.'],
  [['--kv', 'int4'], 'Allowed choices are float32, bfloat16, int8.'],
  [['--max-context', '1000000'], 'maxContext: expected'],
  [['--threads', '0'], 'threads: expected'],
])('generate %j fails with one line', async (args, message) => {
  const { code, stdout, stderr } = await dotpool(['generate', ...args])
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
})
