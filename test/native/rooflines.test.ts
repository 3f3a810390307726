import { describe, expect, it } from 'vitest'
import { multiplyUnits } from '#src/measure/multiply-units.js'
import { loadNative } from '#src/native/load.js'
import { checkRooflines } from '../support/rooflines.js'

/* The rooflines by the compiler that builds the library; by others, in test/stress. */

checkRooflines('cc')

const kernels = loadNative()

describe.skipIf(kernels === null)('the multiply-adds of a roofline', () => {
  it('are described for every set of kernels but the portable ones', () => {
    for (const { isa } of kernels?.kernels() ?? []) {
      expect(isa in multiplyUnits, isa).toBe(isa !== 'scalar')
    }
  })
})
