import type { Pool } from 'dotpool'
import fc from 'fast-check'
import { headBytes, PAGE } from '#src/layouts/kv-page.js'
import { AttentionLayout, OpKind, RowLayout, Type, writeAttention } from '#src/native/layout.js'
import type { AttentionGeometry, Op } from '#src/native/op.js'
import type { Program } from '#src/pool/program.js'
import { type AttentionRow, pageHead } from '#src/reference/attention.js'
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
  const { words, tables } = rowsInMemory(pool, task)
  const { layer, parts } = layerInMemory(pool, task, split)
  const pages = task.rows.map((row) => row.pages.map((bytes) => ({ bytes })))
  const op = { m: task.rows.length, rows: { words, pages }, layer }
  const ops: Op[] = [
    { kind: OpKind.rotate, ...op },
    { kind: OpKind.attend, ...op },
  ]
  if (split) ops.push({ kind: OpKind.merge, ...op })
  // only their addresses are in the ops
  const held = [tables, parts]
  return { ops: () => ops, release: () => held.splice(0) }
}

/** dp_row [M], and the tables of pages that they name. */
function rowsInMemory(pool: Pool, { rows }: AttentionCase) {
  const words = wordsIn(pool, rows.length * RowLayout.words)
  const tables = rows.map(({ position, pages }, m) => {
    const bytes = pool.memory.bytes(8 * (1 + pages.length))
    const table = new BigUint64Array(bytes.buffer, bytes.byteOffset, 1 + pages.length)
    table.set([pages.length, ...pages.map((page) => pool.addressOf(page))].map(BigInt))
    const address = pool.addressOf(bytes)
    const at = m * RowLayout.words
    words[at + RowLayout.position] = position
    words[at + RowLayout.pages] = address
    words[at + RowLayout.pages + 1] = address / 2 ** 32
    return bytes
  })
  return { words, tables }
}

/** dp_attention, and memory for parts. */
function layerInMemory(pool: Pool, task: AttentionCase, split: boolean) {
  const { geometry, rows, q, k, v, qNorm, kNorm, rotation, out } = task
  const { queryHeads, headDim: D } = geometry
  const address = (view: ArrayBufferView | undefined) =>
    view === undefined ? 0 : pool.addressOf(view)
  const partPages = Math.max(...rows.map(({ pages }) => pages.length))
  const parts = pool.memory.array('float32', rows.length * queryHeads * partPages * (2 + D))
  const words = wordsIn(pool, AttentionLayout.words)
  writeAttention(words, 0, {
    ...geometry,
    cacheType: Type[geometry.cacheType],
    ...{ q: address(q), k: address(k), v: address(v), out: address(out) },
    ...{ qNorm: address(qNorm), kNorm: address(kNorm), rotation: address(rotation) },
    ...{ split: Number(split), parts: address(parts), partPages, positions: rotation.length / D },
  })
  return { layer: { words, geometry, q, k, v, qNorm, kNorm, rotation, out }, parts }
}

function wordsIn(pool: Pool, count: number): Uint32Array {
  const bytes = pool.memory.bytes(count * 4)
  return new Uint32Array(bytes.buffer, bytes.byteOffset, count)
}
