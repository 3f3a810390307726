import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tokenizer } from '#src/model/text/tokenizer.js'
import { array, gguf, int32, string, strings, uint32 } from '../../support/gguf.js'
import { temporaryFolder } from '../support.js'
import {
  byteLevelFields,
  madeTokenizers,
  openTokenizer,
  piecesFields,
  vocabularyOfFile,
} from './tokenizers.js'
import golden from './tokens.json' with { type: 'json' }

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

async function made(fields: Parameters<typeof gguf>[0]): Promise<Tokenizer> {
  const file = join(folder.path, 'made.gguf')
  await writeFile(file, gguf(fields))
  return await openTokenizer(file)
}

/** llama.cpp's results are in tokens.json; `node --import tsx tokens.ts` writes that file. */
describe("tokens as llama.cpp's", () => {
  it.each(Object.entries(madeTokenizers))('%s', async (name, fields) => {
    const tokenizer = await made(fields())
    const { text, tokens } = golden
    expect(tokenizer.encode(text)).toEqual((tokens as Record<string, number[]>)[name])
  })
})

describe('special tokens', () => {
  it('are found in a text, and control tokens decode to no text', async () => {
    const tokenizer = await made(byteLevelFields('qwen2'))
    const ids = tokenizer.encode('<|im_end|><think>user  defined<|im_end|>')
    expect(ids).toHaveLength(4)
    expect(tokenizer.decode(ids)).toBe('<think>user  defined')
  })

  it('that end a sequence are those of the fields and those that look like it', async () => {
    const file = join(folder.path, 'made.gguf')
    await writeFile(
      file,
      gguf(byteLevelFields('qwen2', { 'tokenizer.ggml.eos_token_id': uint32(5) })),
    )
    const vocabulary = await vocabularyOfFile(file)
    const { tokens } = vocabulary
    expect(vocabulary.eosTokenIds().toSorted((a, b) => a - b)).toEqual([
      tokens.indexOf('<|endoftext|>'),
      5,
      tokens.indexOf('<|im_end|>'),
    ])
  })
})

describe('a tokenizer that is refused', () => {
  it.each<[string, Parameters<typeof gguf>[0], RegExp]>([
    [
      'of an unknown kind',
      byteLevelFields('qwen2', { 'tokenizer.ggml.model': string('t5') }),
      /made\.gguf: tokenizer\.ggml\.model "t5" is not supported, only gpt2, llama/,
    ],
    [
      'with an unknown pre-tokenizer',
      byteLevelFields('magic'),
      /tokenizer\.ggml\.pre "magic" is not supported, only default, gpt-2/,
    ],
    [
      'without tokens',
      piecesFields({ 'tokenizer.ggml.tokens': uint32(7) }),
      /tokenizer\.ggml\.tokens: expected a list of strings, got 7/,
    ],
    [
      'with a duplicate token',
      piecesFields({ 'tokenizer.ggml.tokens': strings(['a', 'a']) }),
      /twice/,
    ],
    [
      'with too few kinds',
      piecesFields({ 'tokenizer.ggml.token_type': array([int32(1)]) }),
      /tokenizer\.ggml\.token_type has 1 elements for \d+ tokens/,
    ],
    [
      'with too few scores',
      piecesFields({ 'tokenizer.ggml.scores': array([int32(1)]) }),
      /tokenizer\.ggml\.scores has 1 elements for \d+ tokens/,
    ],
    [
      'with a merge of one piece',
      byteLevelFields('qwen2', { 'tokenizer.ggml.merges': strings(['ab']) }),
      /tokenizer\.ggml\.merges: "ab" is not a pair/,
    ],
    [
      'with a role for a missing token',
      piecesFields({ 'tokenizer.ggml.bos_token_id': uint32(70_000) }),
      /tokenizer\.ggml\.bos_token_id 70000: there are \d+ tokens/,
    ],
  ])('%s', async (_, fields, message) => {
    await expect(made(fields)).rejects.toThrow(message)
  })
})
