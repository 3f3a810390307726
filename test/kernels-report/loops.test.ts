import { describe, expect, it } from 'vitest'
import type { Instruction } from '../../scripts/kernels/disassembly.js'
import { innermostLoops } from '../../scripts/kernels/loops.js'

/** Instructions at 0, 1, 2 ...; some of them branch. */
function code(length: number, branches: Record<number, number>): Instruction[] {
  return Array.from({ length }, (_, address) => ({
    address,
    name: 'any',
    operands: [],
    ...(address in branches && { target: branches[address] }),
  }))
}

const ranges = (instructions: Instruction[]) =>
  innermostLoops(instructions).map((loop) => [loop[0].address, loop.at(-1)?.address])

describe('innermostLoops', () => {
  it('finds none where all branches go forward', () => {
    expect(ranges(code(5, { 1: 4, 2: 3 }))).toEqual([])
  })

  it('finds loops side by side', () => {
    expect(ranges(code(9, { 3: 1, 7: 5 }))).toEqual([
      [1, 3],
      [5, 7],
    ])
  })

  it('drops loops that contain another', () => {
    expect(ranges(code(9, { 4: 3, 6: 2, 8: 0 }))).toEqual([[3, 4]])
  })

  it('counts a loop with two back edges once', () => {
    expect(ranges(code(9, { 4: 1, 6: 1 }))).toEqual([[1, 6]])
  })

  it('does not take a cold path after the function for a loop', () => {
    expect(ranges(code(12, { 2: 10, 5: 1, 11: 3 }))).toEqual([[1, 5]])
  })
})
