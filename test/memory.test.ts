import { OutOfMemoryError, Pool } from 'dotpool'
import { describe, expect, it } from 'vitest'
import type { Native } from '#src/native/abi.js'
import { Memory } from '#src/pool/memory.js'
import { newArray } from '#src/tensor.js'
import { loadMade, tinyConfig } from './model/support.js'

/** More than any machine has, and more than one buffer can hold. */
const TOO_MANY = Number.MAX_SAFE_INTEGER

describe('memory that cannot be allocated', () => {
  const typed = expect.objectContaining({ code: 'ERR_DOTPOOL_OUT_OF_MEMORY' })
  const full = { seesAll: true } as Native
  full.allocate = () => {
    throw new RangeError('Invalid typed array length: undefined')
  }

  it('throws an OutOfMemoryError that says how much was asked for, and why it failed', () => {
    for (const memory of [new Memory(full), new Memory(null)]) {
      expect(() => memory.bytes(TOO_MANY)).toThrow(typed)
      expect(() => memory.array('float32', TOO_MANY)).toThrow(typed)
      expect(() => memory.result('int8', TOO_MANY)).toThrow(typed)
    }
    expect(() => newArray(Float32Array, TOO_MANY)).toThrow(typed)
    const error = (() => {
      try {
        return new Memory(full).bytes(64)
      } catch (error) {
        return error
      }
    })()
    expect(error).toBeInstanceOf(OutOfMemoryError)
    expect((error as Error).message).toMatch(/^cannot allocate 64 bytes; dispose/)
    expect((error as Error).cause).toBeInstanceOf(RangeError)
  })

  it('stops the loading of a model whose context is far too long', async () => {
    await using pool = await Pool.create({ threads: 1 })
    // more positions than there are addresses
    const rope_scaling = { rope_type: 'dynamic', factor: 1e13 }
    await expect(loadMade(pool, { ...tinyConfig, rope_scaling })).rejects.toThrow(typed)
  })
})
