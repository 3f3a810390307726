import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadOptions } from '#src/model/load.js'
import { Model } from '#src/model/model.js'
import type { Pool } from '#src/pool/pool.js'
import type { MadeCheckpoint } from '../random-checkpoint.js'
import { writeCheckpoint } from '../support.js'

/** Where the header begins. */
export const HEADER = 64

/** Packs a made-up checkpoint in a folder; returns the file. */
export async function packMade(
  pool: Pool,
  folder: string,
  { config, tensors }: MadeCheckpoint,
  options: LoadOptions = {},
): Promise<string> {
  await writeCheckpoint(folder, config, tensors)
  const file = join(folder, 'model.dotpool')
  using model = await Model.load(pool, folder, options)
  await model.pack(file)
  return file
}

// biome-ignore lint/suspicious/noExplicitAny: headers are changed in all ways
export function readHeader(bytes: Buffer): any {
  return JSON.parse(bytes.subarray(HEADER, HEADER + Number(bytes.readBigUInt64LE(24))).toString())
}

/** A packed model with another header, which its checksum confirms; arrays stay where the header says. */
export function withHeader(bytes: Buffer, header: unknown): Buffer {
  const dataAt = (length: number) => Math.ceil((HEADER + length) / 4096) * 4096
  const text = Buffer.from(JSON.stringify(header))
  const data = bytes.subarray(dataAt(Number(bytes.readBigUInt64LE(24))))
  const start = Buffer.alloc(dataAt(text.length))
  bytes.copy(start, 0, 0, HEADER)
  text.copy(start, HEADER)
  start.writeBigUInt64LE(BigInt(start.length + data.length), 16)
  start.writeBigUInt64LE(BigInt(text.length), 24)
  return sign(Buffer.concat([start, data]))
}

/** Sets the checksum right of a preamble and header that a test has changed. */
export function sign(bytes: Buffer): Buffer {
  const length = Number(bytes.readBigUInt64LE(24))
  const hash = createHash('sha256').update(bytes.subarray(0, 32))
  hash
    .update(bytes.subarray(HEADER, HEADER + length))
    .digest()
    .copy(bytes, 32)
  return bytes
}

/** How often this process has the file mapped. */
export function mappingsOf(file: string): number {
  return readFileSync('/proc/self/maps', 'utf8').split(file).length - 1
}
