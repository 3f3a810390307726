import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compareReports } from '../../dist/bench/compare.js'
import { type Report, resultsName } from '../../dist/bench/report.js'
import { impossibleSpeeds, type Speed } from '../../dist/bench/speed.js'
import { scripted, why } from '../support/isas.js'
import { dotpool } from './run.js'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dotpool-bench-'))
})

afterAll(() => rm(folder, { recursive: true }))

test.skipIf(scripted)(`bench prints a table and writes a file${why}`, async () => {
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

test('compare calls a batch worse when its time beside one row grows, at the same fraction of the bound', () => {
  const [before, after] = [1.2, 1.5].map(batchesReport)
  const { compared, regressions, improvements } = compareReports(before, after)
  expect(compared).toBe(1)
  expect(regressions).toMatchObject([{ name: 'batches: M=8', unit: 'x', before: 1.2, after: 1.5 }])
  expect(improvements).toEqual([])
  expect(compareReports(after, before).improvements.length).toBe(1)
})

test('a result above its roofline is impossible, a result above another pool is possible', () => {
  const speed = (name: string, ratio: number): Speed => {
    const all = { samples: 20, min: ratio, median: ratio, p99: ratio, max: ratio }
    return { unit: 'GB/s', median: 30 * ratio, bound: { name, median: 30, ratio: all } }
  }
  expect(impossibleSpeeds('M=1', [speed('read', 1.02), speed('usual', 2)])).toEqual([])
  expect(impossibleSpeeds('M=1', [speed('read', 1.03)])).toEqual([
    { name: 'M=1', bound: 'read', ratio: 1.03 },
  ])
})

test.each([
  ['AMD EPYC 7763 64-Core Processor', 'amd-epyc-7763-avx2-2-cores'],
  ['Intel(R) Xeon(R) CPU @ 2.20GHz', 'intel-xeon-avx2-2-cores'],
])('results on %s are named %s', (cpu, name) => {
  const machine = { cpu, cpus: 2 } as Report['machine']
  expect(resultsName({ machine, isa: 'avx2' })).toBe(name)
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

/** A report of one line, whose samples are all equal. */
function batchesReport(times: number): Report {
  const all = (value: number) => ({
    samples: 20,
    min: value,
    median: value,
    p99: value,
    max: value,
  })
  const bound = { name: 'read', median: 30, ratio: all(0.8) }
  const speeds = [{ unit: 'GB/s', median: 24, bound }]
  const lines = [{ name: 'M=8', unit: 'x', measured: all(times), speeds }]
  return { suites: [{ name: 'batches', lines }] } as Partial<Report> as Report
}
