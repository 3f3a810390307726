import {
  array,
  type Field,
  float32,
  ggufHeader,
  string,
  uint32,
  type Value,
} from '../../dist/bench/models/gguf-header.js'

export { array, float32, ggufHeader, string, uint32 }

/** ggml's numbers of tensor types. */
export const ggmlTypes = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  IQ4_XS: 23,
  BF16: 30,
}

export const uint16 = (value: number): Value => ({
  type: 2,
  bytes: Buffer.from(Uint16Array.of(value).buffer),
})
export const int32 = (value: number): Value => ({
  type: 5,
  bytes: Buffer.from(Int32Array.of(value).buffer),
})
export const bool = (value: boolean): Value => ({ type: 7, bytes: Buffer.of(Number(value)) })
export const strings = (values: readonly string[]): Value => array(values.map(string))

export interface MadeTensor {
  type: number
  /** In Hugging Face's order: the innermost last. */
  dims: readonly number[]
  data: Uint8Array
}

/** Builds a GGUF file from these fields and tensors. */
export function gguf(
  fields: Readonly<Record<string, Value>>,
  tensors: Readonly<Record<string, MadeTensor>> = {},
): Buffer {
  const infos = Object.entries(tensors).map(([name, { type, dims, data }]) => ({
    name,
    type,
    dims: dims.toReversed(),
    bytes: data.byteLength,
  }))
  const { header, padding } = ggufHeader(Object.entries(fields) as Field[], infos)
  const data = Object.values(tensors).flatMap(({ data }) => [
    data,
    new Uint8Array(padding(data.byteLength)),
  ])
  return Buffer.concat([header, ...data])
}
