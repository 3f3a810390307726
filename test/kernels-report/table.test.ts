import { describe, expect, it } from 'vitest'
import {
  cellsOf,
  faults,
  mergeRows,
  type Row,
  readRows,
  writeRows,
} from '../../scripts/kernels/table.js'

const page = `# Kernels

<!-- npm run kernels:report writes what follows -->

| kernel | compiler |
| --- | --- |

<!-- up to here -->

## More
`
const gcc: Row = { kernel: 'gemv', compiler: 'gcc for Arm', version: '12.2.0', cells: ['64', '1'] }
const clang: Row = { kernel: 'gemm', compiler: 'clang', version: '19.1.7', cells: ['32', '2'] }
const exist = () => true

describe('cellsOf', () => {
  it('describes the loop with the fewest loads, and the worst of all values', () => {
    const small = { multiplyAdds: 32, instructions: 8, loads: 3, moves: 0, spills: 2 }
    const full = { multiplyAdds: 128, instructions: 16, loads: 4, moves: 1, spills: 0 }
    expect(cellsOf([small, full])).toEqual(['128', '8.00', '2.00', '0.50', '2', '16.00'])
  })
})

describe('the table in the page', () => {
  it('parses back to what was written, by kernel', () => {
    const written = writeRows(page, [gcc, clang])
    expect(readRows(written)).toEqual([clang, gcc])
    expect(written.startsWith('# Kernels\n')).toBe(true)
    expect(written.endsWith('<!-- up to here -->\n\n## More\n')).toBe(true)
  })

  it('must exist', () => {
    expect(() => readRows('# Kernels')).toThrow('expected "<!-- npm run kernels:report')
  })
})

describe('mergeRows', () => {
  it('keeps rows that were not counted again, and drops kernels that no longer exist', () => {
    const anew = { ...gcc, version: '13.1.0' }
    const gone = { ...clang, kernel: 'gone' }
    expect(mergeRows([gcc, clang, gone], [anew], (kernel) => kernel !== 'gone')).toEqual([
      clang,
      anew,
    ])
  })
})

describe('faults', () => {
  const counted = { ...gcc, spills: 0 }

  it('finds none where the table is true', () => {
    expect(faults([gcc, clang], [counted], exist)).toEqual([])
  })

  it('finds a kernel that spills, with any compiler', () => {
    const spilling = { ...counted, version: '13.1.0', spills: 3 }
    expect(faults([gcc], [spilling], exist)).toEqual([
      'gemv, gcc for Arm 13.1.0: its hot loop spills 3 times',
    ])
  })

  it('finds an outdated row and a missing one', () => {
    const changed = { ...counted, cells: ['64', '2'] }
    const missing = { ...counted, kernel: 'gemm' }
    expect(faults([gcc], [changed, missing], exist)).toEqual([
      'gemv, gcc for Arm 12.2.0: the table is out of date',
      'gemm, gcc for Arm 12.2.0: the table is out of date',
    ])
  })

  it('accepts a table from another version of a compiler', () => {
    const other = { ...counted, version: '13.1.0', cells: ['64', '2'] }
    expect(faults([gcc], [other], exist)).toEqual([])
  })

  it('finds a row whose kernel no longer exists', () => {
    expect(faults([gcc], [], () => false)).toEqual([
      'gemv, gcc for Arm 12.2.0: the kernel no longer exists',
    ])
  })
})
