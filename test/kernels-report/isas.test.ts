import { describe, expect, it } from 'vitest'
import { misnamed, readList, writeTiles } from '../../scripts/kernels/isas.js'

const list = readList(`
DP_LIST_GEMM(6x16c4, wide, .mr = 6, .unit = 1)
DP_LIST_GEMM(1x64c4, plain, .mr = 1, .unit = 1)
DP_LIST_S4(2x16c8, wide, wide, .mr = 2, .most = 9)
DP_LIST_ISA(wide, plain, plain, 1, plain, 6x16c4_wide, 1x64c4_plain, wide,-mwide,-mwider)
DP_LIST_ISA(plain, plain, plain, 1, plain, 1x64c4_plain, 1x64c4_plain, none,)
`)

describe('the list of kernels', () => {
  const files = [
    'gemm_s8_6x16c4_wide.c',
    'gemm_s8_1x64c4_plain.c',
    'gemv_s8_1x64c4_plain.c',
    'gemv_s4_1x64c8_wide.c',
    'gemm_s4_2x16c8_wide.c',
    'epilogue_plain.c',
  ]

  it('names the file of every kernel', () => {
    expect(misnamed(files, list)).toEqual([])
  })

  it('rejects a name outside of the grammar, a kernel that is not listed, and one that is missing', () => {
    const wrong = [
      'gemm_s8_2x2c4_plain.c',
      'gemm_s4_2x16c8_plain.c',
      'gemm_s4_2x16c4_wide.c',
      'epilogue_other.c',
      ...files.slice(1),
    ]
    expect(misnamed(wrong, list)).toEqual([
      'gemm_s4_2x16c4_wide.c: no KIND_ISA.c',
      'epilogue_other.c: no KIND_ISA.c',
      'gemm_s8_2x2c4_plain.c: isas.h does not list it',
      'gemm_s4_2x16c8_plain.c: isas.h does not list it',
      'gemm_s4_2x16c4_wide.c: isas.h does not list it',
      'gemm_s8_6x16c4_wide.c: it is not there',
    ])
  })
})

describe('the table of ISAs', () => {
  const page = (wide: string, plain: string) => `text

| ISA          | multiplies | activations | GEMM tile, few rows |
| ------------ | ---------- | ----------- | ------------------- |
| \`wide\`       | fast       | q           | ${wide.padEnd(19)} |
| \`plain\`      | C          | q           | ${plain.padEnd(19)} |
| \`typescript\` | JavaScript | q           |                     |

more
`

  it('shows the tiles of the list', () => {
    expect(writeTiles(page('1 x 1', ''), list)).toBe(page('6 x 16 (1 x 64)', '1 x 64'))
  })

  it('rejects rows in another order than the list', () => {
    const swapped = page('', '')
      .replace('`wide` ', '`plain`')
      .replace('`plain`      | C', '`wide`       | C')
    expect(() => writeTiles(swapped, list)).toThrow('expected a row of wide')
  })
})
