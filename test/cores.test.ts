import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ArgumentError, Linear, Pool } from 'dotpool'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allowedCpus } from '#src/cpus/affinity.js'
import { formatCpuList, parseCpuList } from '#src/cpus/cpu-list.js'
import { fastCores } from '#src/cpus/fast-cores.js'
import { chooseCpus, usableThreads } from '#src/cpus/usable.js'
import { createPool, isas } from './support/isas.js'
import { errorOf, killThread, until } from './support/threads.js'

const elsewhere = process.platform !== 'linux'
const why = elsewhere ? ' (skipped: only Linux numbers CPUs)' : ''

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dotpool-cores-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Makes the root of a machine's files: its affinity mask, and other files by their paths. */
function machine(mask: string, files: Record<string, string> = {}): string {
  const root = mkdtempSync(join(folder, 'machine-'))
  const status = `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${mask}\nMems_allowed:\t1\n`
  for (const [path, text] of Object.entries({ ...files, 'proc/self/status': status })) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

/** Files that state the capacity of each CPU. */
const capacities = (...all: number[]) =>
  Object.fromEntries(
    all.map((capacity, cpu) => [`sys/devices/system/cpu/cpu${cpu}/cpu_capacity`, `${capacity}\n`]),
  )

const hybrid = {
  'sys/devices/cpu_core/cpus': '0-3\n',
  'sys/devices/cpu_atom/cpus': '4-11\n',
}

describe('a list of CPUs', () => {
  it('is parsed as Linux writes it', () => {
    expect(parseCpuList('0-2,5,8-9\n')).toEqual([0, 1, 2, 5, 8, 9])
    expect(parseCpuList('\n')).toEqual([])
  })

  it('is the same after formatting and parsing', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(300)), (cpus) => {
        const sorted = cpus.toSorted((a, b) => a - b)
        expect(parseCpuList(formatCpuList(cpus))).toEqual(sorted)
      }),
    )
    expect(formatCpuList([7, 1, 3, 2])).toBe('1-3,7')
  })
})

describe.skipIf(elsewhere)(`fast cores${why}`, () => {
  it('are those with at least half the greatest capacity', () => {
    const source = 'cpu_capacity'
    const bigLittle = capacities(446, 446, 446, 446, 1024, 1024)
    expect(fastCores(machine('0-5', bigLittle))).toEqual({ count: 2, cpus: [4, 5], source })
    const threeClusters = capacities(250, 250, 250, 250, 620, 620, 620, 1024)
    const cpus = [4, 5, 6, 7]
    expect(fastCores(machine('0-7', threeClusters))).toEqual({ count: 4, cpus, source })
    expect(fastCores(machine('0-1', capacities(512, 1024)))).toBeNull()
    expect(fastCores(machine('0-1', capacities(511, 1024)))?.cpus).toEqual([1])
  })

  it('are the performance cores of an Intel hybrid', () => {
    const expected = { count: 4, cpus: [0, 1, 2, 3], source: 'cpu_core' }
    expect(fastCores(machine('0-11', hybrid))).toEqual(expected)
  })

  it('are only those that exist and that the process may use', () => {
    expect(fastCores(machine('3-5', hybrid))?.cpus).toEqual([3])
    expect(fastCores(machine('4-11', hybrid))).toBeNull()
    expect(fastCores(machine('0-3', capacities(446, 446, 446, 446, 1024)))).toBeNull()
    const files = { ...capacities(300, 300, 1024), 'sys/devices/system/cpu/online': '0-2\n' }
    expect(allowedCpus(machine('0-127', files))).toEqual([0, 1, 2])
    expect(fastCores(machine('0-127', files))?.cpus).toEqual([2])
  })

  it('are undefined where all cores are alike, or the system does not say', () => {
    expect(fastCores(machine('0-3'))).toBeNull()
    expect(fastCores(machine('0-1', capacities(1024, 1024)))).toBeNull()
    expect(fastCores(machine('0-2', capacities(300, 1024)))).toBeNull()
    expect(fastCores('/nowhere')).toBeNull()
  })
})

describe.skipIf(elsewhere)(`the option cores${why}`, () => {
  it('leaves placement to the system, by default and where all cores are alike', () => {
    expect(chooseCpus(undefined, machine('0-11', hybrid))).toBeNull()
    expect(chooseCpus('fast', machine('0-3'))).toBeNull()
  })

  it('pins threads to the fast cores, or to CPUs of the affinity mask', () => {
    expect(chooseCpus('fast', machine('0-11', hybrid))).toEqual([0, 1, 2, 3])
    const root = machine('0-3,8-11')
    const allowed = [0, 1, 2, 3, 8, 9, 10, 11]
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 12 }), { maxLength: 5 }), (cpus) => {
        const good = cpus.length > 0 && new Set(cpus).size === cpus.length
        if (good && cpus.every((cpu) => allowed.includes(cpu))) {
          expect(chooseCpus(cpus, root)).toEqual(cpus)
        } else {
          expect(() => chooseCpus(cpus, root)).toThrow(ArgumentError)
        }
      }),
    )
  })

  it('names what is wrong with a list of cores', async () => {
    for (const [cores, message] of [
      ['slow', `cores: expected 'fast' or an array of CPU numbers, got "slow"`],
      [2, `cores: expected 'fast' or an array of CPU numbers, got 2`],
      [[], `cores: expected 'fast' or an array of CPU numbers, got Array`],
      [
        [0, 0],
        /^cores: expected CPUs of this process's affinity mask, .*, each once, got \[0, 0\]$/,
      ],
      [[1e6], /^cores: expected CPUs of this process's affinity mask, .*, got \[1000000\]$/],
      [[0.5], /^cores: .*, got \[0.5\]$/],
    ] as const) {
      const error = await errorOf(Pool.create({ cores: cores as never }))
      expect(error).toBeInstanceOf(ArgumentError)
      expect((error as Error).message).toMatch(message)
    }
    expect(() => chooseCpus([0], '/nowhere')).toThrow(/'fast' on a system that does not number/)
  })

  it('sets the number of threads, unless `threads` does', async () => {
    const [cpu] = allowedCpus() as number[]
    expect(usableThreads([cpu])).toBe(1)
    await using one = await Pool.create({ cores: [cpu] })
    expect(one.threads).toBe(1)
    await using two = await Pool.create({ cores: [cpu], threads: 2 })
    expect(two.threads).toBe(2)
  })
})

const native = isas.find((isa) => !/^(wasm|typescript)/.test(isa))
const cpus = allowedCpus() ?? []
const single = native === undefined || cpus.length < 2

describe.skipIf(single)('worker threads on chosen cores', () => {
  /** How many threads of this process may run on exactly these CPUs. */
  const threadsOn = (allowed: readonly number[]) =>
    readdirSync('/proc/self/task').filter((task) => {
      try {
        const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8')
        return status.includes(`\nCpus_allowed_list:\t${formatCpuList(allowed)}\n`)
      } catch {
        return false // it has just ended
      }
    }).length

  it('stay there, as do their replacements, and give the same results', async () => {
    const cores = cpus.slice(-1)
    expect(threadsOn(cores)).toBe(0)
    await using pool = await createPool(native as string, { cores, threads: 2 })
    const shape = { inFeatures: 9, outFeatures: 70 }
    const layer = await Linear.fromInt8(pool, new Int8Array(630).fill(2), 1, shape)
    const expected = new Float32Array(70).fill(2 * 9 * 127)
    const x = new Float32Array(9).fill(127)
    expect(threadsOn(cores)).toBe(2)
    expect(await layer.forward(x)).toEqual(expected)
    await killThread()
    await until(() => threadsOn(cores) === 2)
    expect(await layer.forward(x)).toEqual(expected)
    expect(layer.forwardSync(x)).toEqual(expected)
  })

  it('run anywhere by default', async () => {
    await using pool = await createPool(native as string, { threads: 2 })
    expect(pool.threads).toBe(2)
    expect(threadsOn(cpus)).toBeGreaterThanOrEqual(2)
    for (const cpu of cpus) expect(threadsOn([cpu])).toBe(0)
  })
})
