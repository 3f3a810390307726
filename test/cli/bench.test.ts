import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dotpool } from './run.js'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dotpool-bench-'))
})

afterAll(() => rm(folder, { recursive: true }))

test('bench prints a table and writes a file', async () => {
  const file = join(folder, 'report.json')
  const { code, stdout, stderr } = await dotpool([
    'bench',
    '--scope',
    'region',
    '--threads',
    '2',
    '--json',
    file,
  ])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^empty program, sync +\d+ .* (us|ms)$/m)

  const report = JSON.parse(await readFile(file, 'utf8'))
  expect(report).toMatchObject({
    versions: { node: process.versions.node },
    machine: { cpu: expect.any(String) },
    isa: expect.any(String),
    threads: 2,
  })
  expect(Date.parse(report.date)).not.toBeNaN()
  const [{ name, lines }] = report.suites
  expect(name).toBe('region')
  expect(lines.length).toBe(4)
  for (const { unit, measured } of lines) {
    const { samples, min, median, p99, max } = measured
    expect(unit).toBe('us')
    expect(samples).toBeGreaterThanOrEqual(20)
    expect([min, median, p99, max]).toEqual([min, median, p99, max].sort((a, b) => a - b))
  }
})

test.each([
  [['--scope', 'nonsense'], {}, 'scope: expected names out of region,'],
  [['--scope', 'region'], { DOTPOOL_ISA: 'typescript' }, 'needs native kernels'],
])('bench %j %j fails with one line', async (args, env, message) => {
  const { code, stderr } = await dotpool(['bench', ...args], { env })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
})
