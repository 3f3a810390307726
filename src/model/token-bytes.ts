import { FormatError } from '../errors.js'
import { Fields, show } from './fields.js'

/*
 * What each token stands for, as UTF-8 bytes. Bytes rather than text, because a token may hold a part
 * of a code point only.
 */

/** How the tokens of one tokenizer.json spell bytes; its `decoder` says it. */
export interface TokenSpelling {
  /** The bytes of an ordinary token. */
  bytes(token: string): Uint8Array
  /** A text loses its first space, which the normalizer had put there. */
  readonly dropsFirstSpace: boolean
}

/**
 * Reads the `decoder` of a tokenizer.json: byte-level (GPT-2, Qwen, Llama 3), or a sequence with byte
 * fallback (SentencePiece, Llama 2).
 *
 * @param file named in errors
 * @param decoder the parsed field
 * @throws FormatError naming a decoder that is neither
 */
export function parseDecoder(file: string, decoder: unknown): TokenSpelling {
  const fields = new Fields(file, decoder, 'decoder')
  fields.only('type', 'ByteLevel', 'Sequence')
  if (fields.values.type === 'ByteLevel') return { bytes: byteLevel, dropsFirstSpace: false }
  const steps = fields.list('decoders').map((step) => new Fields(file, step, 'decoder.decoders'))
  const replacements: [string, string][] = []
  let dropsFirstSpace = false
  for (const step of steps) {
    step.only('type', 'Replace', 'ByteFallback', 'Fuse', 'Strip')
    if (step.values.type === 'Replace') replacements.push(parseReplace(file, step))
    if (step.values.type === 'Strip') {
      step.only('content', ' ')
      step.only('start', 1)
      step.only('stop', 0)
      dropsFirstSpace = true
    }
  }
  return { bytes: (token) => byteFallback(token, replacements), dropsFirstSpace }
}

function parseReplace(file: string, step: Fields): [string, string] {
  const pattern = step.required('pattern').values.String
  const { content } = step.values
  if (typeof pattern === 'string' && typeof content === 'string') return [pattern, content]
  throw new FormatError(file, `decoder: Replace of ${show(pattern)} is not supported`)
}

const encoder = new TextEncoder()

/** The UTF-8 bytes of a token that stands for itself. */
export function literal(token: string): Uint8Array {
  return encoder.encode(token)
}

function byteFallback(token: string, replacements: readonly [string, string][]): Uint8Array {
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? []
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16))
  return literal(replacements.reduce((text, [from, to]) => text.replaceAll(from, to), token))
}

function byteLevel(token: string): Uint8Array {
  return Uint8Array.from([...token].flatMap((char) => byteOf.get(char) ?? [...literal(char)]))
}

/**
 * GPT-2's alphabet, one printable character per byte: the printable characters of Latin-1 stand for
 * themselves, the other bytes are numbered from U+0100. `bytes_to_unicode` of
 * https://github.com/openai/gpt-2/blob/master/src/encoder.py
 */
const byteOf = new Map<string, number>()
for (let byte = 0, next = 0x100; byte < 256; byte++) {
  const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
  byteOf.set(String.fromCharCode(printable ? byte : next++), byte)
}
