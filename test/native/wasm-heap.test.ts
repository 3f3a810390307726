import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Memory } from '#src/native/wasm-api.js'
import { WasmHeap } from '#src/native/wasm-heap.js'
import { runScript } from '../support/child.js'

const makeHeap = (pages: number, base = 0) =>
  new WasmHeap(new Memory({ initial: 1, maximum: pages, shared: true }), base)

describe('the WebAssembly heap', () => {
  it('allocates zeroed, aligned memory without overlaps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 40 }), (sizes) => {
        const heap = makeHeap(10, 1)
        const parts = sizes.map((size) => heap.allocate(size))
        parts.forEach((part, i) => {
          expect(part.every((byte) => byte === 0)).toBe(true)
          expect([part.byteLength, part.byteOffset % 64]).toEqual([sizes[i], 0])
          expect(part.byteOffset).toBeGreaterThan(0)
          part.fill(i + 1)
        })
        parts.forEach((part, i) => {
          expect(part.every((byte) => byte === i + 1)).toBe(true)
        })
      }),
    )
  })

  it('tells its own memory, and views of it, from other memory', () => {
    const heap = makeHeap(10)
    const part = heap.allocate(100)
    expect(heap.owns(part)).toBe(true)
    expect(heap.owns(new Float32Array(part.buffer, part.byteOffset, 25).subarray(3))).toBe(true)
    expect(heap.owns(makeHeap(10).allocate(100))).toBe(false)
    expect(heap.owns(new Uint8Array(new SharedArrayBuffer(8)))).toBe(false)
  })

  it('throws a RangeError when it is full, and still allocates what fits', () => {
    const heap = makeHeap(2)
    heap.allocate(65536)
    expect(() => heap.allocate(65537)).toThrow(RangeError)
    expect(heap.allocate(65536).byteLength).toBe(65536)
    expect(() => heap.allocate(1)).toThrow('64 bytes are not free in the 4 GiB')
  })

  it('reuses memory at once after it is released', () => {
    const heap = makeHeap(2)
    for (let i = 0; i < 5; i++) {
      const part = heap.allocate(100_000)
      expect(part.every((byte) => byte === 0)).toBe(true)
      part.fill(1)
      heap.free(part.subarray(7))
      expect(heap.owns(part)).toBe(false)
      heap.free(part)
    }
  })

  it('reclaims memory where it is needed, before any finalizer runs', async () => {
    const { stdout, stderr } = await runScript(
      `import { WasmHeap } from '#src/native/wasm-heap.js'
       const memory = new WebAssembly.Memory({ initial: 1, maximum: 16, shared: true })
       const heap = new WasmHeap(memory, 0)
       const held = []
       for (let i = 0; i < 100; i++) {
         const part = heap.allocate(200_000)
         if (i % 50 === 0) held.push(part.fill(5))
         // V8 keeps what a turn of the event loop has made until it ends
         await new Promise((resolve) => setImmediate(resolve))
       }
       console.log(held.every((part) => part.every((byte) => byte === 5)), typeof gc)`,
    )
    expect(stderr).toBe('')
    expect(stdout).toBe('true undefined\n')
  })

  it('merges memory when no view is left, and zeroes it', async () => {
    const { stdout, stderr } = await runScript(
      `import { WasmHeap } from '#src/native/wasm-heap.js'
       const memory = new WebAssembly.Memory({ initial: 1, maximum: 16, shared: true })
       const heap = new WasmHeap(memory, 0)
       const collect = async () => {
         for (let i = 0; i < 3; i++) {
           gc()
           await new Promise((resolve) => setImmediate(resolve))
         }
       }
       const fill = (size) => {
         const part = heap.allocate(size)
         if (part.some((byte) => byte !== 0)) console.log('dirty')
         part.fill(7)
       }
       const held = heap.allocate(64)
       for (let round = 0; round < 5; round++) {
         // in blocks of several sizes, which make room for the next round's only when merged
         const sizes = [[300_000, 300_000, 300_000], [450_000, 450_000], [900_000]][round % 3]
         sizes.forEach(fill)
         await collect()
       }
       let view = heap.allocate(900_000).subarray(5)
       await collect()
       try {
         heap.allocate(900_000)
         console.log('taken from a view')
       } catch {}
       held[0] = view[0]
       view = null
       await collect()
       console.log(heap.allocate(900_000).length)`,
      { flags: ['--expose-gc'] },
    )
    expect(stderr).toBe('')
    expect(stdout).toBe('900000\n')
  })
})
