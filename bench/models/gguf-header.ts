/*
 * The header of a GGUF file, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: fields, then each tensor's
 * offset in the data that follows. Numbers are little-endian.
 */

/** A field of the file, under its key. */
export type Field = readonly [key: string, value: Value]

/** A value of a field, with the format's number of its type. */
export interface Value {
  readonly type: number
  readonly bytes: Buffer
}

interface TensorInfo {
  readonly name: string
  readonly type: number
  /** The innermost first. */
  readonly dims: readonly number[]
  readonly bytes: number
}

const MAGIC = 'GGUF'
const VERSION = 3

/** Each tensor starts at a multiple of it; the format's default. */
const ALIGNMENT = 32

const FieldType = { uint32: 4, float32: 6, string: 8, array: 9 } as const

export const uint32 = (value: number): Value => ({ type: FieldType.uint32, bytes: u32(value) })

export const float32 = (value: number): Value => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return { type: FieldType.float32, bytes }
}

export const string = (value: string): Value => ({ type: FieldType.string, bytes: text(value) })

/** Values of one type; there is at least one. */
export const array = (values: readonly Value[]): Value => {
  const head = [u32(values[0].type), u64(values.length)]
  return {
    type: FieldType.array,
    bytes: Buffer.concat([...head, ...values.map(({ bytes }) => bytes)]),
  }
}

/**
 * Lays out a file whose tensors follow each other in this order.
 *
 * @returns the header, and a function that tells how many zeros must follow a tensor of so many bytes
 */
export function ggufHeader(
  fields: readonly Field[],
  tensors: readonly TensorInfo[],
): { header: Uint8Array; padding: (bytes: number) => number } {
  const parts = [Buffer.from(MAGIC), u32(VERSION), u64(tensors.length), u64(fields.length)]
  for (const [key, { type, bytes }] of fields) parts.push(text(key), u32(type), bytes)
  let offset = 0
  for (const { name, type, dims, bytes } of tensors) {
    parts.push(text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset))
    offset += bytes + padding(bytes)
  }
  const head = Buffer.concat(parts)
  return { header: Buffer.concat([head, Buffer.alloc(padding(head.length))]), padding }
}

function padding(bytes: number): number {
  return -bytes & (ALIGNMENT - 1)
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}
