import { describe, expect, it } from 'vitest'
import { arm64 } from '../../scripts/kernels/arm64.js'
import { type Architecture, countLoops } from '../../scripts/kernels/count.js'
import { parseDisassembly } from '../../scripts/kernels/disassembly.js'
import { x86 } from '../../scripts/kernels/x86.js'

/** Counts a loop of these instructions and the branch that closes it, after `before`. */
function count(architecture: Architecture, loop: string[], before: string[] = []) {
  const lines = [
    ...before,
    ...loop,
    `${architecture === x86 ? 'jne' : 'b.ne'} ${(before.length * 4).toString(16)} <f>`,
  ]
  const text = lines.map((line, i) => `  ${(i * 4).toString(16)}:\t${line}`).join('\n')
  const [code] = parseDisassembly(`0000000000000000 <f>:\n${text}\n`)
  return countLoops(code, architecture)
}

describe('counts the instructions of a loop on x86-64', () => {
  it.each([
    ['{vex} vpdpbusd %ymm1,%ymm2,%ymm0', 32],
    ['vpdpbusd %zmm1,%zmm2,%zmm0', 64],
    ['vpdpbusd %xmm1,%xmm2,%xmm0', 16],
    ['vpmaddwd %ymm1,%ymm2,%ymm0', 16],
    ['vpmaddubsw (%rax),%ymm2,%ymm0', 32],
    ['pmaddwd %xmm1,%xmm0', 8],
    ['imul   %edx,%eax', 1],
    ['tdpbusd %tmm6,%tmm4,%tmm0', 16 * 16 * 64],
  ])('%s multiplies %i times', (instruction, multiplyAdds) => {
    expect(count(x86, [instruction])).toMatchObject([{ multiplyAdds, instructions: 2 }])
  })

  it('ignores a loop that does not multiply', () => {
    expect(count(x86, ['vpaddd %ymm1,%ymm2,%ymm0'])).toEqual([])
  })

  it('counts vpmaddwd after vpmaddubsw as an addition only', () => {
    const loop = ['vpmaddubsw %ymm1,%ymm2,%ymm3', 'vpmaddwd %ymm15,%ymm3,%ymm3']
    expect(count(x86, loop)).toMatchObject([{ multiplyAdds: 32 }])
  })

  it('counts loads in operands, too, but no stores, addresses or prefetches', () => {
    const loop = [
      'vpbroadcastd (%rax),%ymm1',
      'vpdpbusd 0x20(%rdx),%ymm1,%ymm0',
      'cmp    (%rbx),%rsp',
      'vmovdqa %ymm0,(%rdi)',
      'lea    0x8(%rax),%rax',
      'prefetcht0 0x1000(%rdx)',
      'nopw   0x0(%rax,%rax,1)',
    ]
    expect(count(x86, loop)).toMatchObject([{ loads: 3, moves: 0, spills: 0 }])
  })

  it('counts moves from register to register', () => {
    const loop = [
      'vpmaddwd %ymm1,%ymm2,%ymm0',
      'vmovdqa %ymm0,%ymm3',
      'mov    %rax,%rbx',
      'mov    $0x1,%eax',
    ]
    expect(count(x86, loop)).toMatchObject([{ moves: 2 }])
  })

  it('counts vectors on the stack as spills, but no addresses or arrays there', () => {
    const loop = [
      'vmovdqa %ymm3,0x20(%rsp)',
      'vpmaddwd 0x40(%rsp),%ymm2,%ymm0',
      'mov    0x60(%rsp),%rax',
      'vmovdqa 0x20(%rsp,%rcx,1),%ymm4',
    ]
    expect(count(x86, loop)).toMatchObject([{ spills: 2, loads: 3 }])
  })

  it('treats rbp as the stack where a function makes it the frame pointer', () => {
    const loop = ['vpmaddwd -0x20(%rbp),%ymm2,%ymm0']
    expect(count(x86, loop)).toMatchObject([{ spills: 0 }])
    expect(count(x86, loop, ['push   %rbp', 'mov    %rsp,%rbp'])).toMatchObject([{ spills: 1 }])
  })
})

describe('counts the instructions of a loop on AArch64', () => {
  it.each([
    ['sdot\tv0.4s, v1.16b, v2.4b[0]', 16],
    ['smmla\tv0.4s, v1.16b, v2.16b', 32],
    ['smull\tv0.8h, v1.8b, v2.8b', 8],
    ['smlal2\tv0.8h, v1.16b, v2.16b', 8],
    ['smlal\tv0.4s, v1.4h, v2.4h', 4],
    ['madd\tw0, w1, w2, w3', 1],
  ])('%s multiplies %i times', (instruction, multiplyAdds) => {
    expect(count(arm64, [instruction])).toMatchObject([{ multiplyAdds, instructions: 2 }])
  })

  it('counts each register that a load fills', () => {
    const loop = [
      'sdot\tv0.4s, v1.16b, v2.4b[0]',
      'ldp\tq1, q2, [x0], #32',
      'ldr\tq3, [x1]',
      'ld1r\t{v4.4s}, [x2]',
      'ld1\t{v5.16b-v8.16b}, [x3]',
      'prfm\tpldl1keep, [x0, #4096]',
      'str\tq3, [x4]',
    ]
    expect(count(arm64, loop)).toMatchObject([{ loads: 8 }])
  })

  it('counts moves from register to register', () => {
    const loop = [
      'smull\tv0.8h, v1.8b, v2.8b',
      'mov\tv3.16b, v0.16b',
      'mov\tx1, x2',
      'mov\tw1, #0x4',
    ]
    expect(count(arm64, loop)).toMatchObject([{ moves: 2 }])
  })

  it('counts vectors on the stack as spills, but no addresses or arrays there', () => {
    const loop = [
      'smull\tv0.8h, v1.8b, v2.8b',
      'stp\tq10, q8, [sp]',
      'ldr\tq9, [sp, #32]',
      'ldr\tx3, [sp, #64]',
      'ldr\tq9, [sp, x1]',
    ]
    expect(count(arm64, loop)).toMatchObject([{ spills: 2 }])
  })
})
