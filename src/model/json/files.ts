import { type FileHandle, open, readFile, stat, writeFile } from 'node:fs/promises'
import { FormatError } from '../../errors.js'
import { parseJson } from './json.js'

/** Whether there is a file, rather than a folder or nothing. */
export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false
}

/**
 * Opens a file for reading.
 *
 * @throws FormatError naming the file, if the system refuses
 */
export async function openFile(file: string): Promise<FileHandle> {
  return await reading(file, open(file, 'r'))
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
 * Reads and parses a JSON file.
 *
 * @throws FormatError if it cannot be read, or is not JSON as {@link parseJson} takes it
 */
export async function readJson(file: string): Promise<unknown> {
  return parseJson(file, await reading(file, readFile(file)))
}

/**
 * Reads a text file, UTF-8.
 *
 * @throws FormatError if it cannot be read
 */
export async function readText(file: string): Promise<string> {
  return await reading(file, readFile(file, 'utf8'))
}

/**
 * Awaits the contents of a file that need not be there.
 *
 * @returns undefined if it is not
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
  await writeFile(file, `${JSON.stringify(json, null, 2)}\n`, { flush: true })
}

/** Awaits work on a file or folder; undefined if it is not there. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Awaits a file operation; the system's own error becomes the cause of a FormatError. */
export async function reading<T>(file: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    throw new FormatError(file, `cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
