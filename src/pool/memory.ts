/** Cache line and tile alignment, bytes. */
export const ALIGNMENT = 64

/**
 * Zeroed shared memory whose first byte is 64-byte aligned. A SharedArrayBuffer's own base is only
 * 16-byte aligned, so the view may start a little into a larger buffer.
 */
export function sharedBytes(byteLength: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(byteLength + ALIGNMENT), 0, byteLength)
}
