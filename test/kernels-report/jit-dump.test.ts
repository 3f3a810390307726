import { describe, expect, it } from 'vitest'
import { codeInJitDump } from '../../scripts/kernels/jit-dump.js'

/** A record of a jitdump file, by perf's jitdump specification. */
function record(kind: number, name: string, code: number[]): Buffer {
  const bytes = Buffer.alloc(56 + name.length + 1 + code.length)
  bytes.writeUInt32LE(kind, 0)
  bytes.writeUInt32LE(bytes.length, 4)
  bytes.writeBigUInt64LE(BigInt(code.length), 40)
  bytes.write(name, 56)
  Buffer.from(code).copy(bytes, 56 + name.length + 1)
  return bytes
}

describe('codeInJitDump', () => {
  it('finds the code of the functions asked for', () => {
    const header = Buffer.alloc(40)
    header.writeUInt32LE(40, 8)
    const dump = Buffer.concat([
      header,
      record(0, 'Builtin:Abort', [1, 2]),
      record(2, 'wasm-function[9]', [3]),
      record(0, 'wasm-function[0]-0-turbofan', [4, 0, 5]),
    ])
    expect(codeInJitDump(dump, /wasm-function/)).toEqual([Buffer.from([4, 0, 5])])
  })
})
