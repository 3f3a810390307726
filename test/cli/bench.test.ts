import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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

test('bench --compare tells what is beyond the noise, and fails on what is worse', async () => {
  const [before, after] = ['before', 'after'].map((name) => join(folder, `${name}.json`))
  const scope = ['bench', '--scope', 'region', '--threads', '2']
  await dotpool([...scope, '--json', before])
  const report = JSON.parse(await readFile(before, 'utf8'))
  const [faster, slower, noisy] = report.suites[0].lines
  scale(faster.measured, 1e-6)
  scale(slower.measured, 1e6)
  Object.assign(noisy.measured, { min: 0, median: 3 * noisy.measured.median, p99: 1e9 })
  report.threads = 3
  await writeFile(before, JSON.stringify(report))

  const { code, stdout, stderr } = await dotpool([...scope, '--json', after, '--compare', before])
  expect(stderr).toBe('')
  expect(code).toBe(1)
  expect(stdout).toContain('careful: threads 3 then, 2 now')
  expect(stdout).toMatch(new RegExp(`^worse +region: ${faster.name} .* -> .* us, noise`, 'm'))
  expect(stdout).toMatch(new RegExp(`^better +region: ${slower.name} .* -> .* us, noise`, 'm'))
  expect(stdout).not.toMatch(new RegExp(`^(worse|better) +region: ${noisy.name} `, 'm'))
  expect(JSON.parse(await readFile(after, 'utf8')).suites[0].lines.length).toBe(4)
})

test.each([
  [['--scope', 'nonsense'], {}, 'scope: expected names out of region,'],
  [['--scope', 'region'], { DOTPOOL_ISA: 'typescript' }, 'needs native kernels'],
  [['--compare', 'package.json'], {}, 'package.json: not a report'],
  [['--compare', 'missing.json'], {}, 'ENOENT'],
])('bench %j %j fails with one line', async (args, env, message) => {
  const { code, stderr } = await dotpool(['bench', ...args], { env })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
})

function scale(summary: Record<string, number>, factor: number): void {
  for (const key of ['min', 'median', 'p99', 'max']) summary[key] *= factor
}
