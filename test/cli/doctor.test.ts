import { expect, test } from 'vitest'
import { dotpool } from './run.js'

test('doctor --json tells what it found', async () => {
  const { code, stdout, stderr } = await dotpool(['doctor', '--json'])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const diagnosis = JSON.parse(stdout)
  expect(diagnosis).toMatchObject({
    version: expect.any(String),
    node: process.version,
    machine: { cpu: expect.any(String), features: expect.any(Array), cpus: expect.any(Number) },
    native: { problem: null, places: expect.any(Array) },
    wantedIsa: null,
    threads: { count: expect.any(Number), affinity: expect.any(Number) },
    hugePages: { bufferBytes: expect.any(Number) },
  })
  expect(diagnosis.native.places).toContainEqual({ ...diagnosis.native.library, exists: true })
  const { readGBs, multiplyGops, regionMicros } = diagnosis.measured
  for (const value of [readGBs, multiplyGops, regionMicros.p50]) expect(value).toBeGreaterThan(0)
  expect(regionMicros.p99).toBeGreaterThanOrEqual(regionMicros.p50)
})

test('doctor goes without native kernels, says so, and measures nothing', async () => {
  const { code, stdout } = await dotpool(['doctor'], { env: { DOTPOOL_ISA: 'typescript' } })
  expect(code).toBe(0)
  expect(stdout).toMatch(/^kernels +typescript/m)
  expect(stdout).toContain('DOTPOOL_ISA=typescript: unset it')
  expect(stdout).not.toContain('GB/s')
})

test('a DOTPOOL_ISA that cannot run is one line of error', async () => {
  const { code, stderr } = await dotpool(['doctor'], { env: { DOTPOOL_ISA: 'abacus' } })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: DOTPOOL_ISA: expected one of .*, got "abacus"\n$/)
})
