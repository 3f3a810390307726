import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, stat, writeFile } from 'node:fs/promises'
import { FormatError } from '../../errors.js'
import { formatJson, parseJson } from './json.js'

/*
 * Every file of a checkpoint is opened here. The author of the checkpoint chose its names and what they lead to: a FIFO
 * would keep its reader waiting for ever, a device may never end. So a file is opened without waiting, must be a
 * regular one, and is read up to the size that it had when it was opened.
 */

/**
 * The most bytes of each kind of file: about twice what the largest supported checkpoints need, so that a hostile one
 * costs no more than those.
 */
export const FileLimit = {
  /** config.json and similar files have some kB, a hundred where labels are listed. */
  config: 1_000_000,
  /** An index, or the header of a safetensors file: Llama 3.1 405B in W8A8 has 2,020 tensors of 130 bytes each. */
  tensorList: 1_000_000,
  /** The header of a packed model has a config, and 300 bytes for each Linear: Llama 3.1 405B has 883 of them. */
  packedHeader: 2_000_000,
  /** Gemma 3's tokenizer.json has 33.4 MB. */
  tokenizer: 67_000_000,
  /** Gemma 3's tokenizer_config.json has 1.2 MB. */
  tokenizerConfig: 2_500_000,
  /** The longest published templates have some 30 kB. */
  chatTemplate: 100_000,
  /** A text must fit in one string. */
  text: 500_000_000,
} as const

// Windows has no such flag
const { O_RDONLY, O_NONBLOCK = 0 } = constants

/** Whether a file of any kind exists, rather than a folder or nothing. */
export async function isFile(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined)
  return stats !== undefined && !stats.isDirectory()
}

/** A regular file, open for reading, and its size when it was opened. */
export interface OpenFile {
  readonly handle: FileHandle
  readonly size: number
}

/**
 * Opens a file for reading.
 *
 * @throws FormatError naming the file, if the system refuses, or it is not a regular file
 */
export async function openFile(file: string): Promise<OpenFile> {
  const handle = await reading(file, open(file, O_RDONLY | O_NONBLOCK))
  try {
    const stats = await reading(file, handle.stat())
    if (!stats.isFile()) {
      const problem = `is ${kindOf(stats)}, not a regular file: copy its contents into one`
      throw new FormatError(file, problem)
    }
    return { handle, size: stats.size }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

/**
 * Fills `bytes` from a file.
 *
 * @param position of the first byte, from the start of the file
 * @throws FormatError if the file ends before that, or the system cannot read it
 */
export async function readFully(
  file: string,
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const left = bytes.byteLength - done
    const { bytesRead } = await reading(file, handle.read(bytes, done, left, position + done))
    if (bytesRead === 0) {
      throw new FormatError(file, `truncated: it ends ${left} bytes before it should`)
    }
    done += bytesRead
  }
}

/**
 * Reads a whole file into memory that threads can share.
 *
 * @param limit the most bytes that it may have
 * @throws FormatError if it cannot be read, is not a regular file, or is larger
 */
export async function readBytes(
  file: string,
  limit: number,
): Promise<Uint8Array<SharedArrayBuffer>> {
  const { handle, size } = await openFile(file)
  try {
    if (size > limit) {
      throw new FormatError(file, `has ${size} bytes, where at most ${limit} are expected`)
    }
    const bytes = new Uint8Array(new SharedArrayBuffer(size))
    await readFully(file, handle, bytes, 0)
    return bytes
  } finally {
    await handle.close()
  }
}

/**
 * Reads and parses a JSON file.
 *
 * @param limit the most bytes that it may have
 * @throws FormatError as {@link readBytes}, or if it is not JSON as {@link parseJson} takes it
 */
export async function readJson(file: string, limit: number): Promise<unknown> {
  return parseJson(file, await readBytes(file, limit))
}

/**
 * Reads a text file, UTF-8.
 *
 * @throws FormatError as {@link readBytes}
 */
export async function readText(file: string): Promise<string> {
  return Buffer.from((await readBytes(file, FileLimit.text)).buffer).toString('utf8')
}

/**
 * Copies a file.
 *
 * @throws FormatError if it cannot be read, or is not a regular file; the system's own error if the copy cannot
 *   be written
 */
export async function copyFile(from: string, to: string): Promise<void> {
  const { handle } = await openFile(from)
  try {
    await writeFile(to, handle.createReadStream({ autoClose: false }))
  } finally {
    await handle.close()
  }
}

/**
 * Awaits the contents of an optional file.
 *
 * @returns undefined if it does not exist
 */
export async function ifThere<T>(contents: Promise<T>): Promise<T | undefined> {
  try {
    return await contents
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException }
    if (error instanceof FormatError && cause?.code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes a JSON file. */
export async function writeJson(file: string, json: object): Promise<void> {
  await writeFile(file, formatJson(json), { flush: true })
}

/** Awaits work on a file or folder; undefined if it does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Awaits a file operation; the system's own error becomes the cause of a FormatError. */
async function reading<T>(file: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    throw new FormatError(file, `cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
