import { describe, expect, it } from 'vitest'
import { parseDisassembly } from '../../scripts/kernels/disassembly.js'

describe('parseDisassembly', () => {
  it('separates functions, and resolves branch targets', () => {
    const functions = parseDisassembly(`
kernel.o:     file format elf64-x86-64

0000000000000000 <dp_gemv>:
   0:\tvmovdqa 0x40(%rsi,%rax,4),%ymm0
   9:\tjne    0 <dp_gemv>
   b:\tret

0000000000000010 <turn>:
  10:\tret
`)
    expect(functions).toEqual([
      [
        { address: 0, name: 'vmovdqa', operands: ['0x40(%rsi,%rax,4)', '%ymm0'] },
        { address: 9, name: 'jne', operands: ['0'], target: 0 },
        { address: 11, name: 'ret', operands: [] },
      ],
      [{ address: 16, name: 'ret', operands: [] }],
    ])
  })

  it('reads Arm operands and drops comments', () => {
    const [[load, branch, test]] = parseDisassembly(`
0000000000000000 <turn>:
   0:\tld1\t{v0.16b-v3.16b}, [x1], #64
   4:\tb.ne\t1c <turn+0x1c>  // b.any
   8:\ttbz\tw1, #0, 0 <turn>
`)
    expect(load.operands).toEqual(['{v0.16b-v3.16b}', '[x1]', '#64'])
    expect(branch.target).toBe(0x1c)
    expect(test.target).toBe(0)
  })

  it('does not take an encoding for an instruction', () => {
    const [[multiply]] = parseDisassembly(`
0000000000000000 <turn>:
   0:\t{vex} vpdpbusd %ymm11,%ymm12,%ymm9
`)
    expect(multiply).toEqual({
      address: 0,
      name: 'vpdpbusd',
      operands: ['%ymm11', '%ymm12', '%ymm9'],
    })
  })
})
