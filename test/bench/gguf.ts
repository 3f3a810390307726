/** The format's numbers of field types. */
const [UINT32, FLOAT32, STRING, ARRAY] = [4, 6, 8, 9]
/** The format's numbers of tensor types. */
const [F32, Q8_0] = [0, 8]

/** Reads the tensors of a GGUF file by name, as float32, by the format's specification. */
export function readGguf(file: Buffer): Map<string, Float32Array> {
  const reader = new Reader(file)
  if (reader.bytes(4).toString('latin1') !== 'GGUF') throw new Error('no GGUF file')
  reader.u32()
  const [tensors, fields] = [reader.u64(), reader.u64()]
  for (let i = 0; i < fields; i++) {
    reader.text()
    reader.skipValue(reader.u32())
  }
  const infos = Array.from({ length: tensors }, () => {
    const name = reader.text()
    const dims = Array.from({ length: reader.u32() }, () => reader.u64())
    return { name, size: dims.reduce((a, b) => a * b), type: reader.u32(), offset: reader.u64() }
  })
  const data = file.subarray(Math.ceil(reader.at / 32) * 32)
  return new Map(
    infos.map(({ name, size, type, offset }) => {
      const element = elements.get(type)
      if (element === undefined) throw new Error(`${name}: type ${type}`)
      const bytes = data.subarray(offset)
      return [name, Float32Array.from({ length: size }, (_, i) => element(bytes, i))]
    }),
  )
}

const elements = new Map([
  [F32, (bytes: Buffer, i: number) => bytes.readFloatLE(4 * i)],
  [
    Q8_0,
    (bytes: Buffer, i: number) => {
      const block = bytes.subarray(34 * Math.floor(i / 32))
      return half(block.readUInt16LE()) * block.readInt8(2 + (i % 32))
    },
  ],
])

/** A normal float16 number. */
function half(bits: number): number {
  return 2 ** ((bits >> 10) - 15) * (1 + (bits & 1023) / 1024)
}

class Reader {
  at = 0
  readonly #file: Buffer

  constructor(file: Buffer) {
    this.#file = file
  }

  bytes(count: number): Buffer {
    this.at += count
    return this.#file.subarray(this.at - count, this.at)
  }

  u32(): number {
    return this.bytes(4).readUInt32LE()
  }

  u64(): number {
    return Number(this.bytes(8).readBigUInt64LE())
  }

  text(): string {
    return this.bytes(this.u64()).toString()
  }

  skipValue(type: number): void {
    if (type === UINT32 || type === FLOAT32) this.bytes(4)
    else if (type === STRING) this.text()
    else if (type === ARRAY) this.#skipArray()
    else throw new Error(`a field of type ${type}`)
  }

  #skipArray(): void {
    const type = this.u32()
    for (let left = this.u64(); left > 0; left--) this.skipValue(type)
  }
}
