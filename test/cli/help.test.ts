import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { dotpool } from './run.js'

test('--help lists the commands', async () => {
  const { code, stdout } = await dotpool(['--help'])
  expect(code).toBe(0)
  for (const command of ['generate', 'doctor', 'bench']) expect(stdout).toContain(`  ${command} `)
})

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  expect((await dotpool(['--version'])).stdout.trim()).toBe(version)
})

test.each([
  [['nonsense'], "error: unknown command 'nonsense'"],
  [['generate', '--nonsense'], "error: unknown option '--nonsense'"],
  [['generate', '--seed', 'x'], 'is invalid. Not a number.'],
])('%j is a usage error', async (args, message) => {
  const { code, stderr } = await dotpool(args)
  expect(code).toBe(1)
  expect(stderr).toContain(message)
})
