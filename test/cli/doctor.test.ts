import { beforeAll, describe, expect, it } from 'vitest'
import { presentDiagnosis } from '#src/cli/present-diagnosis.js'
import type { Kernels } from '#src/native/abi.js'
import { scripted, why } from '../support/isas.js'
import { dotpool, type Result } from './run.js'

describe.skipIf(scripted)(`doctor${why}`, () => {
  let json: Result
  let text: string
  beforeAll(async () => {
    json = await dotpool(['doctor', '--json'])
    text = presentDiagnosis(JSON.parse(json.stdout))
  }, 240_000)

  it('prints its findings as JSON', () => {
    expect(json.stderr).toBe('')
    expect(json.code).toBe(0)
    const diagnosis = JSON.parse(json.stdout)
    expect(diagnosis).toMatchObject({
      version: expect.any(String),
      node: process.version,
      machine: { cpu: expect.any(String), features: expect.any(Array), cpus: expect.any(Number) },
      native: { problem: null },
      wantedIsa: null,
      threads: { count: expect.any(Number), affinity: expect.any(Number) },
      hugePages: { bufferBytes: expect.any(Number) },
    })
    const { library, places } = diagnosis.native
    expect(places).toContainEqual({ ...library, exists: true })
    const { readGBs, multiplyGops, regionMicros } = diagnosis.measured
    for (const value of [readGBs, multiplyGops, regionMicros.p50]) expect(value).toBeGreaterThan(0)
    expect(regionMicros.p99).toBeGreaterThanOrEqual(regionMicros.p50)
  })

  it('says for every kernel set whether it can run, and why not', () => {
    const { kernels, isa } = JSON.parse(json.stdout) as { kernels: Kernels[]; isa: string }
    // what every compiler can use; a few know wider ones
    const vectors = { x64: 'avx2', arm64: 'neon' }[process.arch as string]
    if (vectors !== undefined) expect(kernels.map(({ isa }) => isa)).toContain(vectors)
    expect(kernels).toContainEqual({ isa: 'scalar', obstacle: null })
    expect(kernels.at(-1)).toEqual({ isa: 'typescript', obstacle: null })
    expect(kernels.find(({ obstacle }) => obstacle === null)?.isa).toBe(isa)

    expect(text).toMatch(new RegExp(`^kernels +${isa}, the best that can run here$`, 'm'))
    for (const kernel of kernels) {
      const finding = kernel.obstacle ?? (kernel.isa === isa ? 'in use' : 'can run')
      expect(text).toMatch(new RegExp(`^  ${kernel.isa} +${finding}$`, 'm'))
    }
  })

  it('says where it looked for the library, and how many threads there are', () => {
    expect(text).toMatch(/^searched +\/.*libdotpool\.\w+ \(native\/build\): found$/m)
    expect(text).toMatch(/^ +@dotpool\/\S+: not found$/m)
    expect(text).toMatch(/^threads +\d+ \(\d+ of \d+ CPUs in the affinity mask/m)
    expect(text).toMatch(/^cores +(all alike|not known|\d+ CPUs?)/m)
  })

  it('works without native kernels, says so, and measures nothing', async () => {
    const { code, stdout } = await dotpool(['doctor'], { env: { DOTPOOL_ISA: 'typescript' } })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^kernels +typescript, as DOTPOOL_ISA says$/m)
    expect(stdout).toContain('DOTPOOL_ISA=typescript: unset it')
    expect(stdout).not.toContain('GB/s')
  })
})

it('doctor fails with one line of error for a DOTPOOL_ISA that cannot run', async () => {
  const { code, stderr } = await dotpool(['doctor'], { env: { DOTPOOL_ISA: 'abacus' } })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: DOTPOOL_ISA: expected one of .*, got "abacus"\n$/)
})
