import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dotpool } from '../cli/run.js'
import { temporaryFolder } from '../model/support.js'
import { scripted, why } from '../support/isas.js'

test.skipIf(scripted)(
  `a weight takes one byte of resident memory, also after prefill${why}`,
  async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'memory.json')
    const scope = ['bench', '--scope', 'memory', '--threads', '2']
    const { code, stdout, stderr } = await dotpool([...scope, '--json', file])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^after M=512 on all +3 .* B$/m)

    const [{ lines }] = JSON.parse(await readFile(file, 'utf8')).suites
    expect(lines.length).toBeGreaterThanOrEqual(3)
    for (const { unit, measured } of lines) {
      expect(unit).toBe('B')
      expect(measured.min).toBeGreaterThan(0.95)
      expect(measured.max).toBeLessThan(1.1)
    }
  },
)

test.skipIf(scripted)(
  `bench --compare reports changes beyond the noise, and fails on what is worse${why}`,
  async () => {
    await using folder = await temporaryFolder()
    const [before, after] = ['before', 'after'].map((name) => join(folder.path, `${name}.json`))
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
  },
)

function scale(summary: Record<string, number>, factor: number): void {
  for (const key of ['min', 'median', 'p99', 'max']) summary[key] *= factor
}
