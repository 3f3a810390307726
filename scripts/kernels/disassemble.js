import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseDisassembly } from './disassembly.js'

/** @import { Toolchain } from './toolchains.js' */

/** The functions in an object file, in the CPU's instructions. */
export function disassemble(
  /** @type {Toolchain} */ { objdump, compile },
  /** @type {string} */ object,
) {
  const list = (/** @type {string[]} */ ...args) =>
    parseDisassembly(
      execFileSync(objdump, ['--no-show-raw-insn', '--wide', ...args], {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      }),
    )
  if (compile === undefined) return list('--disassemble', object)

  const folder = mkdtempSync(join(tmpdir(), 'dotpool-kernel-'))
  try {
    const file = join(folder, 'code')
    return compile(object).flatMap((code) => {
      writeFileSync(file, code)
      return list('--disassemble-all', '--target=binary', '--architecture=i386:x86-64', file)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
