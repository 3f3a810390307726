import { open, writeFile } from 'node:fs/promises'

/** The bytes of a file, generated as they are written. */
export type Pieces = Iterable<Uint8Array>

/** Called from time to time with the bytes written so far, and all of them. */
export type OnProgress = (done: number, total: number) => void

/** Writes a file piece by piece. */
export async function writePieces(
  file: string,
  pieces: Pieces,
  total: number,
  onProgress?: OnProgress,
): Promise<void> {
  await using handle = await open(file, 'wx')
  let done = 0
  for (const piece of pieces) {
    await writeFile(handle, piece)
    done += piece.byteLength
    onProgress?.(done, total)
  }
}

/** The bytes of a view. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
