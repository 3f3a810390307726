import { basename, dirname, join } from 'node:path'
import { FormatError } from '../../errors.js'
import { GgufFile } from './gguf-file.js'

/*
 * A model may be split into several files, `<name>-00001-of-00003.gguf` and so on. Each states the number of files and
 * its own index, from 0 on; the first has the metadata.
 */

const COUNT = 'split.count'
const NUMBER = 'split.no'
const TENSORS = 'split.tensors.count'

/**
 * Opens a file, and the others if it is the first of several.
 *
 * @throws FormatError naming the file that is missing, broken, or does not go with the first; nothing
 *   stays open then
 */
export async function openParts(file: string): Promise<GgufFile[]> {
  const parts = [await GgufFile.open(file)]
  try {
    const { metadata } = parts[0]
    const count = metadata.integer(COUNT, 0, 1)
    if (count > 1) {
      const nameOf = partNames(file, count)
      const number = metadata.integer(NUMBER, 0)
      if (number !== 0) {
        throw new FormatError(
          file,
          `is part ${number + 1} of ${count}: name the first, ${nameOf(0)}`,
        )
      }
      for (let i = 1; i < count; i++) {
        const part = await GgufFile.open(join(dirname(file), nameOf(i)))
        parts.push(part)
        checkPart(part, i, count)
      }
      checkTensors(parts, metadata.integer(TENSORS, 0))
    }
    return parts
  } catch (error) {
    for (const { handle } of parts) await handle.close()
    throw error
  }
}

/** The name of each part. */
function partNames(file: string, count: number): (i: number) => string {
  const [, name, , total] = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i.exec(basename(file)) ?? []
  if (Number(total) !== count) {
    const problem = `is one of ${count} files, which must be named like model-00001-of-`
    throw new FormatError(file, `${problem}${digits(count)}.gguf`)
  }
  return (i) => `${name}-${digits(i + 1)}-of-${total}.gguf`
}

function digits(n: number): string {
  return String(n).padStart(5, '0')
}

function checkPart({ file, metadata }: GgufFile, i: number, count: number): void {
  const [number, total] = [metadata.integer(NUMBER, 0), metadata.integer(COUNT, 0)]
  if (number === i && total === count) return
  const problem = `says it is part ${number + 1} of ${total}, not ${i + 1} of ${count}`
  throw new FormatError(file, problem)
}

function checkTensors(parts: readonly GgufFile[], count: number): void {
  const names = new Set<string>()
  for (const { file, tensors } of parts) {
    for (const name of tensors.keys()) {
      if (names.has(name)) throw new FormatError(file, `tensor ${name} is in another file, too`)
      names.add(name)
    }
  }
  if (names.size === count) return
  const problem = `the files hold ${names.size} tensors, but ${TENSORS} is ${count}`
  throw new FormatError(parts[0].file, problem)
}
