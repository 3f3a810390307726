import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { findWasm } from '#src/native/library.js'
import { nativeLibrary } from '#src/native/load.js'
import { declared } from '../support/exports.js'

/* Checks what the native library exports and imports, as binutils list it; for Windows, where it is packed. */

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
    expect(exported.sort()).toEqual(declared)
  })

  it('links against the C library only', () => {
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

const wasm = findWasm()
const noWasm = wasm === null ? ' (skipped: it takes clang with its linker to build)' : ''

describe.skipIf(wasm === null)(`the native library as WebAssembly${noWasm}`, () => {
  // biome-ignore lint/suspicious/noExplicitAny: Node.js has it, its types do not
  const { Module } = (globalThis as any).WebAssembly
  let module: unknown
  beforeAll(() => {
    module = new Module(readFileSync(wasm as string))
  })

  it('exports the functions of its header, and the address where free memory begins', () => {
    const names = Module.exports(module).map(({ name }: { name: string }) => name)
    expect(names.sort()).toEqual(['__heap_base', '__stack_pointer', ...declared])
  })

  it('imports memory and a clock', () => {
    expect(Module.imports(module)).toEqual([
      { module: 'env', name: 'memory', kind: 'memory' },
      { module: 'env', name: 'now', kind: 'function' },
    ])
  })
})
