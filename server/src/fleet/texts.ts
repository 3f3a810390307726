import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { Type } from '@fastify/type-provider-typebox'
import type { TextFiles } from 'dotpool'
import { Compile } from 'typebox/compile'

const compress = promisify(gzip)
const decompress = promisify(gunzip)

/** The most bytes of all files, in base64. */
const MAX_BYTES = 100 << 20

const validator = Compile(Type.Record(Type.String(), Type.String()))

/** What a checkpoint says about text, on its way from workers to gateways. */
export interface PackedTexts {
  /** The same for the same files. */
  readonly digest: string
  readonly bytes: Uint8Array
}

export async function packTexts(files: TextFiles): Promise<PackedTexts> {
  return { digest: digestOf(files), bytes: await compress(JSON.stringify(toBase64(files))) }
}

/**
 * Unpacks what {@link packTexts} has packed.
 *
 * @throws Error unless the files have the digest
 */
export async function unpackTexts({ digest, bytes }: PackedTexts): Promise<TextFiles> {
  const json = await decompress(bytes, { maxOutputLength: MAX_BYTES })
  const packed: unknown = JSON.parse(json.toString())
  if (!validator.Check(packed)) throw new Error('expected files in base64 by their names')
  const files = Object.fromEntries(
    Object.entries(packed).map(([name, text]) => [name, Buffer.from(text, 'base64')]),
  )
  if (digestOf(files) !== digest) throw new Error(`the texts ${digest} have another digest`)
  return files
}

function digestOf(files: TextFiles): string {
  const hash = createHash('sha256')
  for (const [name, bytes] of sorted(files)) hash.update(`${name} ${bytes.length}\n`).update(bytes)
  return hash.digest('hex')
}

function toBase64(files: TextFiles): Record<string, string> {
  return Object.fromEntries(
    sorted(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
  )
}

function sorted(files: TextFiles): [string, Uint8Array][] {
  const given = Object.entries<Uint8Array | undefined>({ ...files })
  return given
    .flatMap(([name, bytes]): [string, Uint8Array][] => (bytes ? [[name, bytes]] : []))
    .sort(([a], [b]) => (a < b ? -1 : 1))
}
