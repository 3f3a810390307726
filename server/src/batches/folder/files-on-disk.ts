import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Writes a file as a whole or, whatever happens, not at all: under another name first, which it loses once it is on the
 * disk.
 *
 * @param drafts a folder on the same disk, for what is not complete
 * @returns its bytes
 */
export async function writeWhole(
  path: string,
  content: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  drafts: string,
): Promise<number> {
  const draft = join(drafts, randomUUID())
  let bytes = 0
  try {
    const file = await open(draft, 'wx')
    try {
      for await (const part of content) {
        // it may write a part of it only
        for (let at = 0; at < part.length; ) {
          at += (await file.write(part, at)).bytesWritten
        }
        bytes += part.length
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
    await syncFolder(dirname(path))
    return bytes
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** Writes JSON by {@link writeWhole}. */
export async function writeJson(path: string, value: unknown, drafts: string): Promise<void> {
  await writeWhole(path, [Buffer.from(JSON.stringify(value))], drafts)
}

/** Puts what was renamed or made in a folder on the disk. */
async function syncFolder(path: string): Promise<void> {
  // Windows opens no folders, and keeps renames by itself
  if (process.platform === 'win32') return
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
