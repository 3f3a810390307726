import { createHash } from 'node:crypto'
import { FormatError } from '../../errors.js'
import { FileLimit } from '../json/files.js'

/*
 * A packed model is one file:
 *
 *    0  magic
 *    8  uint32, the version of the format
 *   12  uint32, a mark that reads otherwise where the byte order is another
 *   16  uint64, bytes of the file
 *   24  uint64, bytes of the header
 *   32  SHA-256 of what stands before it, and of the header
 *   64  the header, JSON: see header.ts
 *
 * then the arrays, from the next multiple of 4096 on: each as it lies in memory, numbers in the byte order of the machine
 * that packed them. All of this is 64-byte aligned, and 4096-byte aligned what is as large.
 */

/** Of the fields before the header. */
export const PREAMBLE_BYTES = 64

/** How the file begins; the first byte keeps it from being taken for text. */
const MAGIC = Buffer.from('\x89dotpool', 'latin1')

const VERSION = 1

const BYTE_ORDER_MARK = 0x01020304

/** Where the checksum begins, and what it covers ends. */
const CHECKSUM = 32

const PAGE = 4096
const LINE = 64

/** Where an array of so many bytes goes that follows one that ends at `end`. */
export function alignFor(byteLength: number, end: number): number {
  const alignment = byteLength >= PAGE ? PAGE : LINE
  return Math.ceil(end / alignment) * alignment
}

/** Where the arrays begin behind a header of so many bytes. */
export function dataStart(headerBytes: number): number {
  return Math.ceil((PREAMBLE_BYTES + headerBytes) / PAGE) * PAGE
}

export function hasMagic(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length))
}

/** The preamble of a file. */
export function writePreamble(header: Uint8Array, fileBytes: number): Uint8Array {
  const preamble = new Uint8Array(PREAMBLE_BYTES)
  preamble.set(MAGIC)
  preamble.set(new Uint8Array(Uint32Array.of(VERSION, BYTE_ORDER_MARK).buffer), MAGIC.length)
  const sizes = BigUint64Array.of(BigInt(fileBytes), BigInt(header.byteLength))
  preamble.set(new Uint8Array(sizes.buffer), 16)
  preamble.set(checksumOf(preamble, header), CHECKSUM)
  return preamble
}

function checksumOf(preamble: Uint8Array, header: Uint8Array): Uint8Array {
  return createHash('sha256').update(preamble.subarray(0, CHECKSUM)).update(header).digest()
}

/**
 * Checks a preamble.
 *
 * @param size of the file, bytes
 * @returns the bytes of the header
 * @throws FormatError
 */
export function readPreamble(file: string, preamble: Uint8Array, size: number): number {
  if (!hasMagic(preamble)) throw new FormatError(file, 'is not a packed model')
  const { buffer } = preamble.slice()
  const [version, mark] = new Uint32Array(buffer, MAGIC.length, 2)
  if (mark !== BYTE_ORDER_MARK) {
    const problem = 'was packed on a machine of another byte order; pack the checkpoint on this one'
    throw new FormatError(file, problem)
  }
  if (version !== VERSION) {
    const problem = `is of version ${version} of the format, and this dotpool reads version ${VERSION}`
    throw new FormatError(file, `${problem}; pack the checkpoint anew`)
  }
  const [fileBytes, headerBytes] = Array.from(new BigUint64Array(buffer, 16, 2), Number)
  if (fileBytes !== size) {
    throw new FormatError(
      file,
      `has ${size} bytes, where it says ${fileBytes}: truncated or damaged`,
    )
  }
  if (headerBytes > FileLimit.packedHeader || dataStart(headerBytes) > size) {
    throw new FormatError(file, `a header of ${headerBytes} bytes is too large`)
  }
  return headerBytes
}

/** @throws FormatError unless the header is the one that the preamble was written for */
export function checkHeader(file: string, preamble: Uint8Array, header: Uint8Array): void {
  if (checksumOf(preamble, header).every((byte, i) => byte === preamble[CHECKSUM + i])) return
  throw new FormatError(file, 'the header does not match its checksum: damaged')
}
