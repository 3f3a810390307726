import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadNative } from '#src/native/load.js'
import { runScript } from './support/child.js'

/* Runtimes that take features away from JavaScript. */

describe('dotpool works', () => {
  it('in contexts of node:vm, as Vitest makes them with vmThreads', () => {
    const vitest = fileURLToPath(import.meta.resolve('vitest/package.json')).replace(
      'package.json',
      'vitest.mjs',
    )
    const args = [vitest, 'run', '--pool=vmThreads', 'test/close.test.ts', '-t', 'await using']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(stdout + stderr).toContain('1 passed')
    expect(status).toBe(0)
  })

  it.each([
    ['', loadNative() === null ? 'typescript' : 'native'],
    ['typescript', 'typescript'],
  ])('without WebAssembly, under --jitless, with DOTPOOL_ISA=%s', async (isa, expected) => {
    const { code, stdout } = await runScript(
      `
      import { Linear, Pool } from 'dotpool'
      const pool = await Pool.create({ threads: 2 })
      const shape = { inFeatures: 8, outFeatures: 8 }
      const layer = await Linear.fromInt8(pool, new Int8Array(64).fill(1), 1, shape)
      const [y] = await layer.forward(new Float32Array(8).fill(127))
      console.log(pool.isa === 'typescript' ? 'typescript' : 'native', y)
      await pool.close()`,
      { flags: ['--jitless'], env: { DOTPOOL_ISA: isa } },
    )
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(`${expected} 1016\n$`),
    })
  })
})
