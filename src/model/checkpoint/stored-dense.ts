import { type DenseType, DenseWeight } from '../../ops/dense-weight.js'
import type { Pool } from '../../pool/pool.js'
import { StoredRows } from './stored-rows.js'
import type { TensorReader } from './tensor-reader.js'

/** Bytes per read. */
const CHUNK = 8 << 20

/** The dtype in which {@link readDense} holds a matrix. */
export function denseTypeOf(storedDtype: string): DenseType {
  return storedDtype === 'BF16' ? 'bfloat16' : 'float32'
}

/**
 * Reads a matrix of floats as it is stored: BF16 stays BF16, F16 becomes float32, and I8 becomes float32 times the
 * scale of its row.
 *
 * @param dims the shape it must have
 * @param parts float32 [rows]: the scales of I8; and a bias of the rows, to go with the matrix
 * @throws FormatError if it is missing, or of another shape or dtype
 */
export async function readDense(
  pool: Pool,
  reader: TensorReader,
  name: string,
  dims: readonly [rows: number, columns: number],
  parts: { scale?: Float32Array | undefined; bias?: Float32Array | undefined } = {},
): Promise<DenseWeight> {
  const rows = new StoredRows(pool, reader, name, dims)
  const [N, K] = dims
  const isBf16 = rows.dtype === 'BF16'
  const isAsStored = isBf16 || rows.dtype === 'F32'
  const weight = new DenseWeight(pool, denseTypeOf(rows.dtype), N, K, parts.bias)
  const step = Math.max(1, Math.floor(CHUNK / (K * 4)))
  try {
    for (let first = 0; first < N; first += step) {
      const last = Math.min(first + step, N)
      if (isAsStored && weight.isPacked) {
        await reader.readRows(name, dims, first, last, weight.bytes(first, last))
        continue
      }
      const values = isBf16
        ? ((await rows.read(first, last)) as Uint16Array)
        : await rows.readFloats(first, last, parts.scale)
      weight.set(first, values)
    }
    return weight
  } finally {
    rows.release()
  }
}
