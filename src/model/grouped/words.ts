/** Nibbles in an int32. */
export const PER_WORD = 8

/** Little-endian int32 in memory of their own. */
export function int32Of(bytes: Uint8Array<ArrayBuffer>): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

/**
 * Nibble i of an int32, low ones first.
 *
 * @param i 0 to 7
 */
export function nibbleOf(word: number, i: number): number {
  return (word >>> (4 * i)) & 15
}

/**
 * dest[c, r] = source[r, c]
 *
 * @param source [rows, columns]
 */
export function transpose<T extends Float32Array | Int32Array | Uint8Array>(
  source: T,
  columns: number,
  dest: T,
): T {
  const rows = source.length / columns
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++, i++) dest[c * rows + r] = source[i]
  }
  return dest
}
