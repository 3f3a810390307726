import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { nativeLibrary } from '#src/native/load.js'

/* What the native library offers to the dynamic linker and asks of it, as binutils list it. */

const path = nativeLibrary()?.path ?? ''
const tools = ['nm', 'readelf'].every((tool) => spawnSync(tool, ['--version']).status === 0)
const skipped = path === '' || process.platform !== 'linux' || !tools
const why = skipped ? ' (skipped: it takes a library, Linux, nm and readelf)' : ''

const list = (tool: string, ...args: string[]) =>
  execFileSync(tool, [...args, path], { encoding: 'utf8' })
    .trim()
    .split('\n')

describe.skipIf(skipped)(`the native library${why}`, () => {
  it('exports the functions of its header and nothing else', () => {
    const exported = list('nm', '--dynamic', '--defined-only').map((line) => line.split(' ').at(-1))
    const header = readFileSync(new URL('../../native/include/dotpool.h', import.meta.url), 'utf8')
    const declared = header.matchAll(/^DP_EXPORT.*?\b(dp_\w+)\(/gm)
    expect(exported.sort()).toEqual([...declared].map(([, name]) => name).sort())
  })

  it('needs no library but the C one', () => {
    const needed = list('readelf', '--dynamic', '--wide').flatMap(
      (line) => /\(NEEDED\).*\[(.*)\]/.exec(line)?.[1] ?? [],
    )
    for (const name of needed) expect(name).toMatch(/^(lib(c|m|pthread)\.so|ld-linux)/)
  })

  it('needs no newer glibc than Node.js does', () => {
    const minors = list('nm', '--dynamic', '--undefined-only').flatMap((line) => {
      const version = /@GLIBC_2\.(\d+)/.exec(line)
      return version === null ? [] : [Number(version[1])]
    })
    expect(Math.max(0, ...minors)).toBeLessThanOrEqual(28)
  })
})
