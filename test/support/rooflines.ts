import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { type MultiplyUnit, multiplyUnits } from '#src/measure/multiply-units.js'

/*
 * Checks that the rooflines measure the core and not the compiler: a compiler translates them to assembly, and the tests
 * inspect their loops. A multiply hoisted from the loop, a sum spilled to the stack, a copy beside each multiply: each of
 * them once made a bound too low, and fractions of it too good.
 */

const native = fileURLToPath(new URL('../../native', import.meta.url))

/** Loop control: a counter, a comparison, a branch, and one to spare. */
const CONTROL = 4

const hasMake = spawnSync('make', ['--version']).status === 0

/** The tests of the rooflines as this compiler, with its flags, translates them; skipped where it cannot. */
export function checkRooflines(compiler: string): void {
  const why = obstacle(compiler)
  describe.skipIf(why !== null)(`rooflines by ${compiler}${why ?? ''}`, () => {
    describe.each(['-O2', '-O3'])('%s', (level) => {
      let sources: Map<string, string>

      beforeAll(() => {
        sources = assemblyOf(compiler, level)
      }, 120_000)

      it('exist for every set of kernels', () => {
        const isas = [...sources.keys()].filter((isa) => isa !== 'scalar')
        expect(isas.length).toBeGreaterThan(0)
        for (const isa of isas) expect(multiplyUnits).toHaveProperty(isa)
      })

      it('have loops of multiplies, their additions and loop control only', () => {
        for (const [isa, source] of sources) {
          if (isa === 'scalar') continue
          const unit = multiplyUnits[isa]
          const loop = multiplyLoop(functionOf(source, `dp_peak_${isa}`), unit)
          const multiplies = loop.filter((line) => isMultiply(line, unit))
          expect(multiplies.length, isa).toBeGreaterThanOrEqual(4)
          expect(loop.filter(touchesMemory), isa).toEqual([])
          const others = loop.filter((line) => !isMultiply(line, unit) && !isStackMachine(line))
          const additions = others.filter((line) => ADDITION.test(line))
          expect([0, multiplies.length], isa).toContain(additions.length)
          expect(others.length - additions.length, others.join('\n')).toBeLessThanOrEqual(CONTROL)
        }
      })
    })
  })
}

/** Why a compiler cannot be tried here, for titles; null if it can. */
function obstacle(compiler: string): string | null {
  if (!hasMake) return ' (skipped: it takes make)'
  const [command, ...flags] = compiler.split(' ')
  const headers = compiler.includes('wasm') ? '' : '#include <stdint.h>\n#include <string.h>\n'
  const probe = spawnSync(command, [...flags, '-x', 'c', '-fsyntax-only', '-'], { input: headers })
  return probe.status === 0 ? null : ' (skipped: it takes this compiler and its C headers)'
}

/** By ISA, the assembly that a compiler makes of its roofline. */
function assemblyOf(compiler: string, level: string): Map<string, string> {
  const build = `build/assembly/${compiler.replace(/\W+/g, '-')}${level}`
  const settings = [`CC=${compiler}`, `BUILD=${build}`, `CFLAGS=${level} -S`]
  // with relaxed SIMD, as the Makefile builds it
  if (compiler.includes('wasm')) settings.push('MULTIPLY=wasmrelaxed')
  execFileSync('make', ['-C', native, '--silent', '-j2', 'rooflines', ...settings])
  const folder = `${native}/${build}/src/kernels`
  const sources = new Map<string, string>()
  for (const name of readdirSync(folder)) {
    const isa = /^roofline_(\w+)\.o$/.exec(name)?.[1]
    if (isa !== undefined) sources.set(isa, readFileSync(`${folder}/${name}`, 'utf8'))
  }
  return sources
}

/** The labels and instructions of a function, without comments and directives. */
function functionOf(source: string, name: string): string[] {
  const lines = source
    .split('\n')
    .map((line) => line.replace(/(\/\/|#APP|#NO_APP|# |##).*/, '').trim())
    .filter((line) => line !== '' && (!line.startsWith('.') || line.endsWith(':')))
  const start = lines.findIndex((line) => line === `${name}:` || line === `_${name}:`)
  const length = lines.slice(start + 1).findIndex((line) => /^(\.Lfunc_end|dp_)\w*:/.test(line))
  return lines.slice(start, length < 0 ? undefined : start + 1 + length)
}

/** The smallest loop that contains a multiply: from a label to a branch back to it. */
function multiplyLoop(lines: string[], unit: MultiplyUnit): string[] {
  const loops: string[][] = []
  for (const [end, line] of lines.entries()) {
    const target = /^end_loop$/.test(line)
      ? lines.slice(0, end).lastIndexOf('loop')
      : lines.slice(0, end).indexOf(`${line.split(/[\s,]+/).at(-1)}:`)
    if (target >= 0) loops.push(lines.slice(target + 1, end + 1))
  }
  const withMultiply = loops.filter((loop) => loop.some((line) => isMultiply(line, unit)))
  const [smallest] = withMultiply.sort((a, b) => a.length - b.length)
  return (smallest ?? []).filter((line) => !line.endsWith(':'))
}

function isMultiply(line: string, { instruction }: MultiplyUnit): boolean {
  const [first, second] = line.split(/\s+/)
  const name = first === '{vex}' ? second : first
  // smull2 is smull of the upper halves
  return name === instruction || name === `${instruction}2`
}

/** Adds products to sums. */
const ADDITION = /^(vpaddd|sadalp|i32x4\.add)\b/

/** Operand moves in WebAssembly; engines keep operands in registers instead. */
function isStackMachine(line: string): boolean {
  return /^local\.(get|set|tee)\b|^(i32|i64)\.const\b|^end_loop$/.test(line)
}

/** A memory operand: x86 has parentheses, Arm has brackets, WebAssembly has a load, a store or a constant vector. */
function touchesMemory(line: string): boolean {
  return /\(|\[(x|sp)|\.(load|store)|^v128\.const/.test(line)
}
