import { FormatError } from '../../errors.js'
import { type DenseType, denseBytes } from '../../ops/dense-weight.js'
import { type WeightType, weightParts } from '../../ops/weight.js'
import type { WeightShape } from '../../reference/quantize.js'
import { type ModelConfig, parseConfig } from '../config/config.js'
import { type LinearSpec, linearSpecs, normSizes } from '../config/parameters.js'
import type { Quantization } from '../config/quantization-config.js'
import { Fields, show } from '../json/fields.js'
import { parseJson } from '../json/json.js'
import type { TextFiles } from '../text/thread/service.js'
import { textLimits } from '../text/thread/text-source.js'

/** Bytes of an array, from where the arrays begin. */
export type Span = readonly [offset: number, byteLength: number]

/** Float weights and their bias: rows padded to 16 elements. */
export interface PackedDense {
  readonly type: DenseType
  readonly data: Span
  readonly bias?: Span | undefined
}

/** Quantised weights, as `Weight` has them. */
export interface PackedWeight {
  readonly type: WeightType
  readonly layout: string
  readonly tiles: Span
  readonly colSum: Span
  readonly scale: Span
  readonly bias?: Span | undefined
}

/** The tied head of a model in float is the embedding. */
export interface PackedTied {
  readonly type: 'embedding'
}

export type PackedLinear = PackedWeight | PackedDense | PackedTied

/** What parsing the files about text has found: the tokens, if there is a tokenizer. */
export interface PackedTokens {
  readonly bytes: Span
  /** uint32 of each token. */
  readonly ends: Span
  readonly dropsFirstSpace: boolean
  /** Null where there is no bound. */
  readonly unitsPerToken: number | null
}

/** The header's JSON. */
export interface HeaderJson {
  /** As config.json has it, with all end-of-sequence tokens. */
  readonly config: object
  readonly texts: Readonly<Partial<Record<keyof TextFiles, Span>>>
  readonly hasTemplate: boolean
  readonly tokens?: PackedTokens | undefined
  readonly embedding: PackedDense
  readonly norms: Readonly<Record<string, Span>>
  readonly linears: Readonly<Record<string, PackedLinear>>
  /** SHA-256 of the arrays and what lies between them, 64 hexadecimal digits. */
  readonly checksum: string
}

/** A header that was checked: every array has the size that the config demands, and lies in the file. */
export interface PackedHeader {
  readonly config: ModelConfig
  readonly configJson: object
  readonly texts: ReadonlyMap<keyof TextFiles, Span>
  readonly hasTemplate: boolean
  readonly tokens: PackedTokens | undefined
  readonly embedding: PackedDense
  readonly norms: ReadonlyMap<string, Span>
  readonly linears: ReadonlyMap<string, PackedLinear>
  readonly checksum: string
}

/** The layout of tiles, which is the same for all kernels of this version. */
export const layouts: Readonly<Record<WeightType, string>> = { int8: '64c4', int4: '64c8' }

export function isWeight(linear: PackedLinear): linear is PackedWeight {
  return linear.type === 'int8' || linear.type === 'int4'
}

/** How most of the Linears run. */
export function quantizationOf(linears: Iterable<PackedLinear>): Quantization {
  const types = new Set(Array.from(linears, ({ type }) => type))
  if (types.has('int4')) return 'w4a8'
  return types.has('int8') ? 'w8a8' : 'none'
}

/** The file's own text about how it is encoded. */
export function encodeHeader(header: HeaderJson): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(header))
}

/**
 * Parses and checks a header.
 *
 * @param dataBytes from where the arrays begin to the end of the file
 * @throws FormatError naming the field that is wrong
 */
export function parseHeader(file: string, bytes: Uint8Array, dataBytes: number): PackedHeader {
  const fields = new Fields(file, parseJson(file, bytes))
  const configJson = fields.required('config').values
  const config = parseConfig(file, configJson)
  const spans = new Spans(file, dataBytes)
  const vocabulary = { outFeatures: config.vocabSize, inFeatures: config.hiddenSize }
  const header = {
    config,
    configJson,
    texts: readTexts(fields.required('texts'), spans),
    hasTemplate: fields.boolean('hasTemplate', false),
    tokens: readTokens(fields.object('tokens'), spans),
    embedding: readDense(fields.required('embedding'), vocabulary, false, spans),
    norms: readNorms(fields.required('norms'), config, spans),
    linears: readLinears(fields.required('linears'), config, spans, file),
    checksum: fields.text('checksum') ?? '',
  }
  spans.checkOverlap()
  return header
}

function readTexts(fields: Fields, spans: Spans): Map<keyof TextFiles, Span> {
  const texts = new Map<keyof TextFiles, Span>()
  for (const [name, limit] of Object.entries(textLimits)) {
    if (fields.values[name] === undefined) continue
    texts.set(name as keyof TextFiles, spans.read(fields, name, { most: limit }))
  }
  return texts
}

function readTokens(fields: Fields | undefined, spans: Spans): PackedTokens | undefined {
  if (fields === undefined) return undefined
  const most = textLimits['tokenizer.json']
  return {
    bytes: spans.read(fields, 'bytes', { most }),
    ends: spans.read(fields, 'ends', { most }),
    dropsFirstSpace: fields.boolean('dropsFirstSpace', false),
    unitsPerToken: fields.optional('unitsPerToken') ?? null,
  }
}

function readNorms(fields: Fields, config: ModelConfig, spans: Spans): Map<string, Span> {
  const norms = new Map<string, Span>()
  for (const [name, size] of normSizes(config)) {
    const exactly = size * Float32Array.BYTES_PER_ELEMENT
    norms.set(name, spans.read(fields, name, { exactly }))
  }
  return norms
}

function readDense(fields: Fields, shape: WeightShape, bias: boolean, spans: Spans): PackedDense {
  fields.only('type', 'float32', 'bfloat16')
  const type = fields.values.type as DenseType
  const data = spans.read(fields, 'data', { exactly: denseBytes(type, shape) })
  const biasBytes = shape.outFeatures * Float32Array.BYTES_PER_ELEMENT
  return { type, data, bias: bias ? spans.read(fields, 'bias', { exactly: biasBytes }) : undefined }
}

function readLinears(
  fields: Fields,
  config: ModelConfig,
  spans: Spans,
  file: string,
): Map<string, PackedLinear> {
  const linears = new Map<string, PackedLinear>()
  for (const [name, spec] of linearSpecs(config)) {
    linears.set(name, readLinear(fields.required(name), spec, config, spans, file))
  }
  return linears
}

function readLinear(
  fields: Fields,
  spec: LinearSpec,
  config: ModelConfig,
  spans: Spans,
  file: string,
): PackedLinear {
  const { type, layout } = fields.values
  if (type === 'embedding' && spec.weight !== `${spec.name}.weight` && config.tieWordEmbeddings) {
    return { type }
  }
  if (type !== 'int8' && type !== 'int4') return readDense(fields, spec, spec.bias, spans)
  if (layout !== layouts[type]) {
    const problem = `${spec.name} has ${type} tiles of layout ${show(layout)}, and the kernels of this dotpool read ${layouts[type]}`
    throw new FormatError(file, `${problem}; pack the checkpoint anew`)
  }
  const { tiles, channels } = weightParts(spec, type)
  const perChannel = { exactly: channels * Float32Array.BYTES_PER_ELEMENT }
  return {
    type,
    layout,
    tiles: spans.read(fields, 'tiles', { exactly: tiles }),
    colSum: spans.read(fields, 'colSum', perChannel),
    scale: spans.read(fields, 'scale', perChannel),
    bias: spec.bias ? spans.read(fields, 'bias', perChannel) : undefined,
  }
}

/** Reads where arrays lie, and sees to it that each lies in the file, aligned, and none in another. */
class Spans {
  readonly #file: string
  readonly #dataBytes: number
  readonly #all: Span[] = []

  constructor(file: string, dataBytes: number) {
    this.#file = file
    this.#dataBytes = dataBytes
  }

  read(fields: Fields, key: string, size: { exactly: number } | { most: number }): Span {
    const numbers = fields.list(key)
    const [offset, byteLength] = numbers as number[]
    const isSpan = numbers.length === 2 && numbers.every((n) => Number.isSafeInteger(n))
    const fits = 'exactly' in size ? byteLength === size.exactly : byteLength <= size.most
    if (!isSpan || !fits) {
      const expected = 'exactly' in size ? size.exactly : `at most ${size.most}`
      const got = numbers.map((n) => show(n)).join(', ')
      throw new FormatError(
        this.#file,
        `${key}: expected ${expected} bytes at an offset, got [${got}]`,
      )
    }
    if (
      offset < 0 ||
      byteLength < 0 ||
      offset % 64 !== 0 ||
      offset + byteLength > this.#dataBytes
    ) {
      const problem = `${key}: ${byteLength} bytes at ${offset} do not lie in its ${this.#dataBytes} bytes, 64-byte aligned`
      throw new FormatError(this.#file, problem)
    }
    const span: Span = [offset, byteLength]
    this.#all.push(span)
    return span
  }

  checkOverlap(): void {
    const sorted = this.#all.toSorted(([a], [b]) => a - b)
    for (const [i, [offset]] of sorted.entries()) {
      const [before, byteLength] = sorted[i - 1] ?? [0, 0]
      if (before + byteLength > offset) {
        throw new FormatError(this.#file, `two arrays have the bytes at ${offset}`)
      }
    }
  }
}
