import { expect, test } from 'vitest'
import { dotpool } from './run.js'

test('generate streams text and sums up', async () => {
  const { code, stdout, stderr, chunks } = await dotpool([
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
  expect(chunks).toBeGreaterThan(4)
  expect(stderr).toMatch(
    /^48 tokens, .* tokens\/s, .* GB\/s of weights, .*% of the time in Linears, \w+ on 2 threads, first token .* after the start\n$/,
  )
})

test('the same seed gives the same text', async () => {
  const args = ['generate', '--max-tokens', '12', '--seed', '7', '--top-k', '40', '--top-p', '0.9']
  const [a, b] = [await dotpool(args), await dotpool(args)]
  expect(a.stdout).toBe(b.stdout)
})

test('--stop ends the text and may be given again', async () => {
  const args = ['generate', 'ROMEO:', '--temperature', '0', '--max-tokens', '40']
  const whole = (await dotpool(args)).stdout
  const stops = [whole.slice(20, 26), whole.slice(12, 18)]
  const stopped = await dotpool([...args, ...stops.flatMap((stop) => ['--stop', stop])])
  expect(stopped.code).toBe(0)
  expect(stopped.stdout).toBe(`${whole.slice(0, whole.indexOf(stops[1]))}\n`)
})

test('Ctrl-C ends the text, not the summary', async () => {
  const { code, stdout, stderr } = await dotpool(['generate', '--max-tokens', '2000'], {
    interrupt: true,
  })
  expect(code).toBe(130)
  expect(stdout).toMatch(/\n$/)
  expect(stderr).toMatch(/^\d+ tokens?, .*\n$/)
})

test.each([
  [['--model', '/no/such/folder'], '/no/such/folder/config.json'],
  [['--top-p', '2'], 'topP: expected'],
  [['--threads', '0'], 'threads: expected'],
])('generate %j fails with one line', async (args, message) => {
  const { code, stdout, stderr } = await dotpool(['generate', ...args])
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
})
