import { createHash, type Hash, randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ArgumentError, checkPath, FormatError } from '../../errors.js'
import type { DenseWeight } from '../../ops/dense-weight.js'
import { Linear } from '../../ops/linear.js'
import { checkOptions } from '../../options.js'
import { readCompanions } from '../checkpoint/companions.js'
import { type ReadOptions, readOptions } from '../checkpoint/tensor-file.js'
import { parseConfig } from '../config/config.js'
import type { ModelLinear } from '../decoder/model-linear.js'
import type { Network } from '../decoder/network.js'
import { unlessMissing } from '../json/files.js'
import type { Texts } from '../text/texts.js'
import type { TextContents, TextFiles } from '../text/thread/service.js'
import {
  encodeHeader,
  type HeaderJson,
  layouts,
  type PackedDense,
  type PackedLinear,
  type Span,
} from './header.js'
import { isPacked } from './packed-file.js'
import { alignFor, dataStart, PREAMBLE_BYTES, writePreamble } from './preamble.js'

/** Hashed and written at a time, bytes: some milliseconds, then the event loop has its turn. */
const CHUNK = 1 << 20

/**
 * Nobody may write to a file that others have mapped. Windows keeps them from it by itself, and would not let a read-only
 * file be replaced.
 */
const MODE = process.platform === 'win32' ? 0o666 : 0o444

/** What is packed. */
export interface PackedParts {
  /** The checkpoint that it came from. */
  readonly folder: string
  readonly network: Network
  readonly texts: Texts
}

/**
 * Writes a model as one file that {@link loadPacked} maps. It appears as a whole at the end, and replaces one of the same
 * name: whoever has that one mapped keeps it.
 *
 * @throws as `Model.pack`
 */
export async function packModel(
  { folder, network, texts }: PackedParts,
  file: string,
  given: ReadOptions,
): Promise<void> {
  checkPath('file', file)
  const options = checkOptions(given, readOptions)
  const files = await texts.files()
  const plan = new ArrayPlan()
  const header = {
    ...planTexts(files, texts.contents, plan),
    ...planWeights(network, plan),
  }
  const config = await configOf(folder, network)
  await checkTarget(file)
  const target = resolve(file)
  const partial = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  const handle = await open(partial, 'wx', MODE).catch((error) => {
    throw new ArgumentError('file', 'a file that can be created', error.message)
  })
  try {
    try {
      await writeFile(handle, { ...header, config }, plan, options)
      await handle.sync()
    } finally {
      await handle.close()
    }
    options.signal?.throwIfAborted()
    await rename(partial, target)
  } finally {
    await rm(partial, { force: true })
  }
}

/** What is there may be another packed model, but nothing that would be missed. */
async function checkTarget(file: string): Promise<void> {
  const exists = (await unlessMissing(stat(file))) !== undefined
  if (!exists || (await isPacked(file))) return
  throw new ArgumentError('file', 'a new file, or a packed model to replace', file)
}

/** The checkpoint's config.json, with all tokens that end a sequence. */
async function configOf(folder: string, { config }: Network): Promise<object> {
  const companions = await readCompanions(folder)
  const json = { ...companions.config, eos_token_id: config.eosTokenIds }
  if (isDeepStrictEqual({ ...parseConfig(folder, json) }, { ...config })) return json
  throw new FormatError(folder, 'its config.json has changed since the model was loaded')
}

/** The arrays of a file, one behind the other. */
class ArrayPlan {
  readonly arrays: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  /** Where the last one ends. */
  end = 0

  add({ buffer, byteOffset, byteLength }: ArrayBufferView): Span {
    const offset = alignFor(byteLength, this.end)
    this.arrays.push({ offset, bytes: new Uint8Array(buffer, byteOffset, byteLength) })
    this.end = offset + byteLength
    return [offset, byteLength]
  }
}

function planTexts(
  texts: TextFiles,
  { tokens, hasTemplate }: TextContents,
  plan: ArrayPlan,
): Pick<HeaderJson, 'texts' | 'hasTemplate' | 'tokens'> {
  const files = Object.entries<Uint8Array | undefined>({ ...texts }).flatMap(([name, bytes]) =>
    bytes === undefined ? [] : [[name, plan.add(bytes)]],
  )
  return {
    texts: Object.fromEntries(files),
    hasTemplate,
    tokens: tokens && {
      bytes: plan.add(tokens.bytes),
      ends: plan.add(tokens.ends),
      dropsFirstSpace: tokens.dropsFirstSpace,
      unitsPerToken: tokens.unitsPerToken === Infinity ? null : tokens.unitsPerToken,
    },
  }
}

function planWeights(
  { embedding, norms, linears }: Network,
  plan: ArrayPlan,
): Pick<HeaderJson, 'embedding' | 'norms' | 'linears'> {
  return {
    embedding: planDense(embedding, plan),
    norms: Object.fromEntries(Array.from(norms, ([name, norm]) => [name, plan.add(norm)])),
    linears: Object.fromEntries(
      Array.from(linears, ([name, linear]) => [name, planLinear(linear, embedding, plan)]),
    ),
  }
}

function planDense({ type, data, bias }: DenseWeight, plan: ArrayPlan): PackedDense {
  return { type, data: plan.add(data), bias: bias && plan.add(bias) }
}

function planLinear(linear: ModelLinear, embedding: DenseWeight, plan: ArrayPlan): PackedLinear {
  if (!(linear instanceof Linear)) {
    const { weight } = linear
    return weight === embedding ? { type: 'embedding' } : planDense(weight, plan)
  }
  const { type, tiles, colSum, scale, bias } = linear.weight
  return {
    type,
    layout: layouts[type],
    tiles: plan.add(tiles),
    colSum: plan.add(colSum),
    scale: plan.add(scale),
    bias: bias && plan.add(bias),
  }
}

/** Writes the arrays, then the header, which has their checksum. */
async function writeFile(
  handle: FileHandle,
  fields: Omit<HeaderJson, 'checksum'>,
  { arrays, end }: ArrayPlan,
  { signal, onProgress }: ReadOptions,
): Promise<void> {
  const hash = createHash('sha256')
  const { byteLength } = encodeHeader({ ...fields, checksum: '0'.repeat(64) })
  const start = dataStart(byteLength)
  let done = 0
  for (const { offset, bytes } of arrays) {
    await write(handle, new Uint8Array(offset - done), start + done, hash)
    done = offset
    for (let at = 0; at < bytes.byteLength; at += CHUNK) {
      signal?.throwIfAborted()
      const chunk = bytes.subarray(at, at + CHUNK)
      await write(handle, chunk, start + done, hash)
      done += chunk.byteLength
      onProgress?.(done, end)
    }
  }
  const header = encodeHeader({ ...fields, checksum: hash.digest('hex') })
  await write(handle, writePreamble(header, start + end), 0)
  await write(handle, header, PREAMBLE_BYTES)
}

async function write(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  hash?: Hash,
): Promise<void> {
  hash?.update(bytes)
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await handle.write(
      bytes,
      done,
      bytes.byteLength - done,
      position + done,
    )
    done += bytesWritten
  }
}
