import { readFileSync } from 'node:fs'

/** Reads a text file; undefined if it cannot be read, for example because this system does not have it. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
