import fc from 'fast-check'
import { expect, it } from 'vitest'
import { spendBits } from '#src/model/quantization/bit-budget.js'

const candidates = fc
  .array(
    fc.record({
      size: fc.integer({ min: 1, max: 1000 }),
      harm: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map((list) => list.map((one, i) => ({ ...one, name: `${i}` })))

const bitsOf = (list: { name: string; size: number }[], chosen: ReadonlySet<string>) => {
  const total = list.reduce((sum, { size }) => sum + size, 0)
  return list.reduce((sum, { name, size }) => sum + (chosen.has(name) ? 8 : 4.25) * size, 0) / total
}

it('stays within the budget, and leaves nothing of it that another Linear could use', () => {
  fc.assert(
    fc.property(candidates, fc.double({ min: 4.25, max: 9, noNaN: true }), (list, bits) => {
      const chosen = spendBits(list, bits)
      expect(bitsOf(list, chosen)).toBeLessThanOrEqual(bits + 1e-9)
      for (const { name } of list) {
        if (chosen.has(name)) continue
        expect(bitsOf(list, new Set([...chosen, name]))).toBeGreaterThan(bits - 1e-9)
      }
    }),
  )
})

it('gives eight bits first where four do most harm for each weight', () => {
  const list = [
    { name: 'large', size: 900, harm: 3 },
    { name: 'small', size: 50, harm: 1 },
    { name: 'harmless', size: 50, harm: 0.1 },
  ]
  expect([...spendBits(list, 4.25)]).toEqual([])
  expect([...spendBits(list, 4.45)]).toEqual(['small'])
  expect([...spendBits(list, 4.65)]).toEqual(['small', 'harmless'])
  expect([...spendBits(list, 8)]).toEqual(['small', 'large', 'harmless'])
})
