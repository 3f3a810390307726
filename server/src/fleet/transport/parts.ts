/** A part of a message that was too large for one. */
export interface Part {
  /** Of the message, the same for all parts. */
  readonly id: string
  readonly index: number
  readonly count: number
}

/** The most bytes of a message. */
const MAX_BYTES = 256 << 20
/** Messages that are not whole yet, at most; of more, the oldest are lost. */
const MAX_PENDING = 64

/** Cuts a message into parts of a size, in order. */
export function* partsOf(
  payload: Uint8Array,
  id: string,
  size: number,
): Generator<[Part, Uint8Array]> {
  const count = Math.ceil(payload.length / size)
  for (let index = 0; index < count; index++) {
    yield [{ id, index, count }, payload.subarray(index * size, (index + 1) * size)]
  }
}

export function formatPart({ id, index, count }: Part): string {
  return `${id} ${index} ${count}`
}

/** Undefined for what is none. */
export function parsePart(text: string): Part | undefined {
  const [, id, index, count] = /^(\S{1,64}) (\d{1,6}) (\d{1,6})$/.exec(text) ?? []
  return id === undefined ? undefined : { id, index: Number(index), count: Number(count) }
}

interface Pending {
  readonly pieces: Uint8Array[]
  bytes: number
}

/** Puts parts together. A message that lacks one never becomes whole. */
export class Assembler {
  readonly #pending = new Map<string, Pending>()

  /** @returns the whole message, with its last part */
  add({ id, index, count }: Part, piece: Uint8Array): Uint8Array | undefined {
    const pending = this.#pending.get(id) ?? { pieces: [], bytes: 0 }
    this.#pending.delete(id)
    pending.bytes += piece.length
    if (index !== pending.pieces.length || pending.bytes > MAX_BYTES) return undefined
    pending.pieces.push(piece)
    if (pending.pieces.length === count) return Buffer.concat(pending.pieces)
    this.#pending.set(id, pending)
    const [oldest] = this.#pending.keys()
    if (this.#pending.size > MAX_PENDING) this.#pending.delete(oldest)
    return undefined
  }
}
