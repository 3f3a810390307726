import { describe, expect, it } from 'vitest'
import { FormatError } from '#src/errors.js'
import { tensorType } from '#src/model/gguf/tensor-types.js'
import { ggmlTypes } from '../../support/gguf.js'
import { expectSameBits } from '../../support/reference.js'
import golden from './dequantized.json' with { type: 'json' }

const refuse = (problem: string) => new FormatError('model.gguf', problem)
const decode = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'))

describe("blocks dequantise to ggml's float32", () => {
  it.each(Object.entries(golden))('%s', (name, { blocks, values }) => {
    const type = tensorType(ggmlTypes[name as keyof typeof ggmlTypes], refuse)
    expect(type.name).toBe(name)
    const stored = decode(blocks)
    const expected = new Float32Array(decode(values).buffer)
    expect(stored.byteLength / type.blockBytes).toBe(expected.length / type.blockSize)
    const out = new Float32Array(expected.length)
    type.dequantize?.(stored, out)
    expectSameBits(out, expected, name)
  })
})

it('knows by name every type that files of float weights use', () => {
  for (const [name, id] of Object.entries(ggmlTypes)) expect(tensorType(id, refuse).name).toBe(name)
})

it.each([
  [16, 'IQ2_XXS'],
  [39, 'MXFP4'],
  [4, '4'],
  [999, '999'],
])('refuses type %i as %s, and says which are supported', (id, name) => {
  expect(() => tensorType(id, refuse)).toThrow(
    `model.gguf: type ${name} is not supported, only F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K`,
  )
})
