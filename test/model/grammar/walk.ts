import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildAutomaton } from '#src/model/grammar/engine/automaton.js'
import { Machine, type State } from '#src/model/grammar/engine/machine.js'
import { TokenTrie } from '#src/model/grammar/engine/token-trie.js'
import { copyResponseFormat, type ResponseFormat } from '#src/model/grammar/response-format.js'
import { formatRule } from '#src/model/grammar/syntax/format-rule.js'
import { TokenEncoder } from '#src/model/text/thread/token-encoder.js'
import { TokenTable } from '#src/model/text/token-table.js'
import { fixture } from '../support.js'

/* Texts that a grammar admits, without a model: tokens are taken by chance, of those that may follow. */

const file = join(fixture, 'tokenizer.json')
const data = TokenEncoder.parse(file, JSON.parse(readFileSync(file, 'utf8'))).table()
const table = new TokenTable(data)
export const END = 0
const vocabSize = data.ends.length
export const trie = new TokenTrie(data, vocabSize, [END])

export function compile(format: ResponseFormat): Machine {
  return new Machine(buildAutomaton(formatRule(copyResponseFormat(format) ?? format)))
}

export const schemaFormat = (schema: unknown): ResponseFormat => ({
  type: 'json_schema',
  schema: schema as Record<string, unknown>,
})

/** The state behind a text; null where the grammar does not admit it. */
export function behind(machine: Machine, text: string | Uint8Array): State | null {
  let state: State | null = machine.begin()
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  for (const byte of bytes) state = state?.step(byte) ?? null
  return state
}

export function admits(format: ResponseFormat, text: string): boolean {
  return behind(compile(format), text)?.isComplete ?? false
}

export function tokensOf(mask: Uint32Array): number[] {
  const tokens: number[] = []
  for (let token = 0; token < vocabSize; token++) {
    if ((mask[token >> 5] >>> (token & 31)) & 1) tokens.push(token)
  }
  return tokens
}

export const bytesOf = (token: number): Uint8Array => table.bytesOf(token)

/**
 * A text by chance: it ends where it may, most often, and strings and lists soon do. Undefined where it does not end
 * within so many tokens.
 */
export function walk(machine: Machine, random: () => number, most = 400): string | undefined {
  const pieces: Uint8Array[] = []
  let state: State = machine.begin()
  for (let i = 0; i < most; i++) {
    state = machine.resume(state)
    state.mask ??= { bits: trie.mask(state) }
    const tokens = tokensOf(state.mask.bits as Uint32Array)
    if (tokens.length === 0) throw new Error(`nothing may follow ${spell(pieces)}`)
    const token = choose(tokens, random)
    if (token === END) return spell(pieces)
    pieces.push(bytesOf(token))
    for (const byte of bytesOf(token)) {
      const next = state.step(byte)
      if (next === null) throw new Error(`${token} may not follow ${spell(pieces)}`)
      state = next
    }
  }
  return undefined
}

function choose(tokens: readonly number[], random: () => number): number {
  const pick = (list: readonly number[]) => list[Math.floor(random() * list.length)]
  if (tokens.includes(END) && random() < 0.7) return END
  const closing = tokens.filter((token) => closers.has(token))
  return closing.length > 0 && random() < 0.5 ? pick(closing) : pick(tokens)
}

const closers = new Set(
  Array.from({ length: vocabSize }, (_, token) => token).filter((token) => {
    return /^"?[\]},]?$/.test(Buffer.from(bytesOf(token)).toString())
  }),
)

function spell(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString()
}
