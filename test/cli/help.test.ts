import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { dotpool } from './run.js'

const fixture = 'fixtures/qwen3-shakespeare-w8a8'
const commands = [
  'generate',
  'chat',
  'serve',
  'batch',
  'quantize',
  'pack',
  'eval',
  'doctor',
  'bench',
]

test.concurrent('--help lists the commands', async () => {
  const { code, stdout } = await dotpool(['--help'])
  expect(code).toBe(0)
  for (const command of commands) expect(stdout).toContain(`  ${command} `)
})

test.concurrent.each(commands)('%s --help shows its usage', async (command) => {
  const { code, stdout } = await dotpool([command, '--help'])
  expect(code).toBe(0)
  expect(stdout).toContain(`Usage: dotpool ${command} [options]`)
})

test.concurrent('--version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect((await dotpool(['--version'])).stdout.trim()).toBe(version)
})

test.concurrent.each([
  [['nonsense'], "error: unknown command 'nonsense'"],
  [['generate', '--nonsense'], "error: unknown option '--nonsense'"],
  [['generate', '--seed', 'x'], 'is invalid. Not a number.'],
  [['chat'], "error: required option '--model <path>' not specified"],
  [['serve'], '--model: expected at least one [name=]path, got none'],
  [['serve', '--role', 'gateway'], '--nats: expected the URL of a NATS server beside --role'],
  [['serve', '--model', fixture, '--nats-ca', 'ca.pem'], 'beside --nats-ca, got none'],
  [['serve', '--nats', 'n', '--role', 'worker'], '--model: expected at least one [name=]path'],
  [
    ['serve', '--nats', 'n', '--role', 'gateway', '--model', fixture],
    '--model: expected none, for the workers of a gateway have the models',
  ],
  [
    ['serve', '--nats', 'http://n', '--role', 'gateway'],
    'nats.servers: expected a URL such as nats:',
  ],
  [['serve', '--nats', 'n', '--role', 'gateway', '--nats-prefix', 'a.b'], 'prefix: expected'],
  [['serve', '--model', 'name=nowhere'], 'There is no such folder or file.'],
  [['serve', '--model', `a=${fixture}`, '--model', `a=${fixture}`], 'Another model is called a'],
  [['serve', '--model', fixture, '--memory', '8 apples'], 'such as 1048576, 512m or 8g.'],
  [['serve', '--model', `a=${fixture}`, '--memory', '0.1m'], 'bytes, which a takes, got 104857'],
  [
    ['serve', '--model', fixture, '--tls-key', 'key.pem'],
    'expected it and --tls-key, got only key',
  ],
  [['quantize', fixture], "error: missing required argument 'out'"],
  [['pack', fixture], "error: missing required argument 'out'"],
  [['pack', fixture, '/proc/model.dotpool'], 'file: expected a file that can be created'],
])('%j is a usage error', async (args, message) => {
  const { code, stderr } = await dotpool(args)
  expect(code).toBe(1)
  expect(stderr).toContain(message)
})
