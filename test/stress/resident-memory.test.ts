import { readFile } from 'node:fs/promises'
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
