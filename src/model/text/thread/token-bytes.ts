import { FormatError } from '../../../errors.js'
import { Fields, show } from '../../json/fields.js'

/*
 * What each token stands for, as UTF-8 bytes. Bytes rather than text, because a token may hold a part
 * of a code point only.
 */

/** How the tokens of one tokenizer.json spell bytes; its `decoder` says it. */
export interface TokenSpelling {
  /** The bytes of a token, one of the model's alphabet or an added one. */
  bytes(token: string): Uint8Array
  /** A text loses its first space, which the normalizer had put there. */
  readonly dropsFirstSpace: boolean
}

/**
 * Reads the `decoder` of a tokenizer.json: byte-level (GPT-2, Qwen, Llama 3), or SentencePiece's, as
 * steps (Llama 2, Mistral) or as one (`Metaspace`).
 *
 * @param file named in errors
 * @param decoder the parsed field
 * @throws FormatError naming a decoder or a step that is none of these
 */
export function parseDecoder(file: string, decoder: unknown): TokenSpelling {
  const fields = new Fields(file, decoder, 'decoder')
  fields.only('type', 'ByteLevel', 'Metaspace', 'Sequence')
  if (fields.values.type !== 'Sequence') return parseSteps(file, [fields])
  const steps = fields.list('decoders').map((step) => new Fields(file, step, 'decoder.decoders'))
  return parseSteps(file, steps)
}

function parseSteps(file: string, steps: readonly Fields[]): TokenSpelling {
  if (steps.some(({ values }) => values.type === 'ByteLevel')) {
    for (const step of steps) step.only('type', 'ByteLevel', 'Fuse')
    return { bytes: byteLevel, dropsFirstSpace: false }
  }
  const replacements: [string, string][] = []
  let dropsFirstSpace = false
  for (const step of steps) {
    step.only('type', 'Replace', 'ByteFallback', 'Fuse', 'Strip', 'Metaspace')
    if (step.values.type === 'Replace') replacements.push(parseReplace(file, step))
    if (step.values.type === 'Strip') {
      step.only('content', ' ')
      step.only('start', 1)
      step.only('stop', 0)
      dropsFirstSpace = true
    }
    if (step.values.type === 'Metaspace') {
      replacements.push([parseSpace(file, step), ' '])
      dropsFirstSpace ||= prependsSpace(step)
    }
  }
  const spell = (token: string) => literal(replaceAll(token, replacements))
  const hasBytes = steps.some(({ values }) => values.type === 'ByteFallback')
  return {
    bytes: hasBytes ? (token) => byteOfFallback(token) ?? spell(token) : spell,
    dropsFirstSpace,
  }
}

function parseReplace(file: string, step: Fields): [string, string] {
  const pattern = step.required('pattern').values.String
  const { content } = step.values
  if (typeof pattern === 'string' && typeof content === 'string') return [pattern, content]
  throw new FormatError(file, `decoder: Replace of ${show(pattern)} is not supported`)
}

/** The character that a Metaspace step has for a space. */
function parseSpace(file: string, step: Fields): string {
  const space = step.values.replacement ?? '\u2581'
  if (typeof space === 'string' && space !== '') return space
  throw new FormatError(file, `decoder: Metaspace of ${show(space)} is not supported`)
}

/** Older files say it with `add_prefix_space`. */
function prependsSpace(step: Fields): boolean {
  step.only('prepend_scheme', 'always', 'first', 'never', undefined)
  const scheme = step.values.prepend_scheme ?? undefined
  return scheme === undefined ? step.boolean('add_prefix_space', true) : scheme !== 'never'
}

const encoder = new TextEncoder()

/** The UTF-8 bytes of a token that stands for itself. */
function literal(token: string): Uint8Array {
  return encoder.encode(token)
}

/** The byte that a token such as `<0x0A>` stands for. */
function byteOfFallback(token: string): Uint8Array | undefined {
  const [, byte] = /^<0x([0-9A-F]{2})>$/.exec(token) ?? []
  return byte === undefined ? undefined : Uint8Array.of(Number.parseInt(byte, 16))
}

function replaceAll(token: string, replacements: readonly [string, string][]): string {
  return replacements.reduce((text, [from, to]) => text.replaceAll(from, to), token)
}

/** A token with any character outside of the alphabet, such as an added one, stands for itself. */
function byteLevel(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length)
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfUnit[token.charCodeAt(i)]
    if (byte === undefined) return literal(token)
    bytes[i] = byte
  }
  return bytes
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

/** The same by UTF-16 unit, for no character of the alphabet has two. */
const byteOfUnit: number[] = []
for (const [char, byte] of byteOf) byteOfUnit[char.charCodeAt(0)] = byte

/** How tokenizers of either kind spell each byte. */
export const byteSpellings = {
  byteLevel: [...byteOf.keys()],
  fallback: Array.from(byteOf, ([, byte]) => {
    const digits = byte.toString(16).toUpperCase().padStart(2, '0')
    return `<0x${digits}>`
  }),
}
