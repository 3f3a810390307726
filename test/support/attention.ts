import type { Pool } from 'dotpool'
import fc from 'fast-check'
import { headBytes, PAGE } from '#src/layouts/kv-page.js'
import { NativeType, OpKind, type Program } from '#src/pool/program.js'
import {
  type AttentionGeometry,
  type AttentionRow,
  attendShare,
  attentionModule,
  pageHead,
} from '#src/reference/attention.js'
import { rotateModule, rotateShare } from '#src/reference/rotate.js'
import { randomNumbers } from './random.js'

/** A batch of rows, each with a query, a key and a value, all in shared memory. */
export interface AttentionCase {
  geometry: AttentionGeometry
  rows: AttentionRow[]
  q: Float32Array
  k: Float32Array
  v: Float32Array
  qNorm: Float32Array | undefined
  kNorm: Float32Array | undefined
  rotation: Float32Array
  out: Float32Array
}

/** Numbers that define a case, which fast-check shrinks. */
export const attentionShapes = fc.record({
  kvHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 5 }),
  half: fc.oneof(fc.constantFrom(16, 32, 40), fc.integer({ min: 1, max: 30 })),
  window: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 150 })),
  cacheType: fc.constantFrom('float32' as const, 'bfloat16' as const, 'int8' as const),
  /** For each sequence: how many positions it has already, and how many rows to add. */
  sequences: fc.array(
    fc.record({
      before: fc.oneof(fc.constantFrom(0, 63, 64, 126), fc.integer({ min: 0, max: 130 })),
      count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 6 })),
    }),
    { minLength: 1, maxLength: 2 },
  ),
  normed: fc.boolean(),
  seed: fc.integer(),
})

type AttentionShape = typeof attentionShapes extends fc.Arbitrary<infer T> ? T : never

/** Makes the same case for the same shape. Positions that no row sees hold NaN. */
export function makeAttentionCase({ memory }: Pool, shape: AttentionShape): AttentionCase {
  const { kvHeads, group, half, window, cacheType, sequences, normed, seed } = shape
  const [D, queryHeads, layer] = [2 * half, kvHeads * group, 64]
  const random = randomNumbers(seed)
  const shared = (length: number) => {
    const values = memory.array('float32', length)
    for (let i = 0; i < length; i++) values[i] = random() * 4 - 2
    return values
  }
  const geometry: AttentionGeometry = {
    ...{ queryHeads, kvHeads, headDim: D, window, cacheType, pageOffset: layer },
    ...{ eps: Math.fround(1e-6), scale: Math.fround(D ** -0.5) },
  }
  const rows = sequences.flatMap(({ before, count }) => {
    const pages = Array.from({ length: Math.ceil((before + count) / PAGE) }, () =>
      memory.bytes(layer + kvHeads * headBytes(cacheType, D)).fill(0xff),
    )
    for (let position = 0; position < before; position++) {
      for (let g = 0; g < kvHeads; g++) {
        const head = pageHead(geometry, { position, pages }, Math.floor(position / PAGE), g)
        head.store(position % PAGE, shared(D), shared(D))
      }
    }
    return Array.from({ length: count }, (_, i) => ({ position: before + i, pages }))
  })
  const positions = Math.max(...rows.map((row) => row.position)) + 1
  return {
    geometry,
    rows,
    q: shared(rows.length * queryHeads * D),
    k: shared(rows.length * kvHeads * D),
    v: shared(rows.length * kvHeads * D),
    qNorm: normed ? shared(D) : undefined,
    kNorm: normed ? shared(D) : undefined,
    rotation: shared(positions * D),
    out: memory.array('float32', rows.length * queryHeads * D),
  }
}

/** Rotates, stores and attends; `split` makes ATTEND write partial results and MERGE combine them. */
export function attentionProgram(pool: Pool, task: AttentionCase, split: boolean): Program {
  const memory = nativeMemory(pool, task, split)
  return {
    native: () => {
      const op = {
        m: task.rows.length,
        rows: pool.addressOf(memory.rows),
        attention: pool.addressOf(memory.attention),
      }
      const kinds = [OpKind.rotate, OpKind.attend, ...(split ? [OpKind.merge] : [])]
      return kinds.map((kind) => ({ ...op, kind }))
    },
    script: () => [
      { module: rotateModule, run: rotateShare, args: task },
      { module: attentionModule, run: attendShare, args: task },
    ],
  }
}

/** dp_row [M] and dp_attention, with all memory that they point to. */
function nativeMemory(pool: Pool, task: AttentionCase, split: boolean) {
  const { geometry, rows: places, q, k, v, qNorm, kNorm, rotation, out } = task
  const { queryHeads, kvHeads, headDim: D, window, cacheType, eps, scale } = geometry
  const address = (view: ArrayBufferView | undefined) =>
    BigInt(view === undefined ? 0 : pool.addressOf(view))
  const bytes = (byteLength: number) => {
    const memory = pool.memory.bytes(byteLength)
    return new DataView(memory.buffer, memory.byteOffset, byteLength)
  }
  const tables = places.map(({ pages }) => {
    const table = bytes(8 + 8 * pages.length)
    table.setBigUint64(0, BigInt(pages.length), true)
    for (const [i, page] of pages.entries()) table.setBigUint64(8 + 8 * i, address(page), true)
    return table
  })
  const rows = bytes(places.length * 16)
  for (const [m, { position }] of places.entries()) {
    rows.setUint32(m * 16 + 4, position, true)
    rows.setBigUint64(m * 16 + 8, address(tables[m]), true)
  }
  const mostPages = Math.max(...places.map(({ pages }) => pages.length))
  const parts = pool.memory.array('float32', places.length * queryHeads * mostPages * (2 + D))
  const attention = bytes(112)
  const words = [queryHeads, kvHeads, D, window, NativeType[cacheType]]
  for (const [i, word] of words.entries()) attention.setUint32(4 * i, word, true)
  attention.setFloat32(20, eps, true)
  attention.setFloat32(24, scale, true)
  attention.setUint32(28, split ? 1 : 0, true)
  const addresses = [q, k, v, qNorm, kNorm, rotation].map(address)
  addresses.push(BigInt(geometry.pageOffset), address(out), address(parts))
  for (const [i, at] of addresses.entries()) attention.setBigUint64(32 + 8 * i, at, true)
  attention.setUint32(104, mostPages, true)
  attention.setUint32(108, rotation.length / D, true)
  return { rows, attention, tables, parts }
}
