import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GgufFile } from '#src/model/gguf/gguf-file.js'
import { tokenizerJson, vocabularyOf } from '#src/model/gguf/tokenizer-json.js'
import type { Vocabulary } from '#src/model/gguf/vocabulary.js'
import type { Tokenizer } from '#src/model/text/tokenizer.js'
import { array, gguf, int32, string, strings, uint32 } from '../../support/gguf.js'
import { askLlamaCpp, hasLlamaCpp, llamaCppNote } from '../../support/llama-cpp.js'
import { randomNumbers } from '../../support/random.js'
import { temporaryFolder } from '../support.js'
import { parseTokenizer } from '../texts.js'
import { byteLevelFields, madeTokenizers, multilingualText, piecesFields } from './tokenizers.js'
import golden from './tokens.json' with { type: 'json' }

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

async function vocabularyOfFile(file: string): Promise<Vocabulary> {
  const { handle, metadata } = await GgufFile.open(file)
  await handle.close()
  return vocabularyOf(metadata) as Vocabulary
}

async function openTokenizer(file: string): Promise<Tokenizer> {
  return parseTokenizer(tokenizerJson(await vocabularyOfFile(file)))
}

async function made(fields: Parameters<typeof gguf>[0]): Promise<Tokenizer> {
  const file = join(folder.path, 'made.gguf')
  await writeFile(file, gguf(fields))
  return await openTokenizer(file)
}

/** What llama.cpp made of it is in tokens.json; `node --import tsx tokens.ts` writes that. */
describe('tokens of llama.cpp', () => {
  it.each(Object.entries(madeTokenizers))('%s', async (name, fields) => {
    const tokenizer = await made(fields())
    const { text, tokens } = golden
    expect(tokenizer.encode(text)).toEqual((tokens as Record<string, number[]>)[name])
  })
})

describe.skipIf(!hasLlamaCpp)(`100 kB in many scripts as llama.cpp${llamaCppNote}`, () => {
  const text = multilingualText(100_000, randomNumbers(1))

  async function expectSameTokens(file: string): Promise<void> {
    const tokenizer = await openTokenizer(file)
    const { tokens } = await askLlamaCpp({ file, texts: [text] })
    expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(tokens[0])
    // a tokenizer that prepends a space cannot tell whether there was one
    const decoded = tokenizer.decode(tokens[0])
    expect(decoded === text || decoded === text.replaceAll('▁', ' ')).toBe(true)
  }

  it.each(Object.entries(madeTokenizers))('%s', async (_, fields) => {
    const file = join(folder.path, 'vocabulary.gguf')
    await writeFile(file, gguf(fields()))
    await expectSameTokens(file)
  })

  // node-llama-cpp comes with the sources of llama.cpp, and vocabularies of published models in them
  const bundle = fileURLToPath(
    new URL(
      '../../../bench/peers/node_modules/node-llama-cpp/llama/gitRelease.bundle',
      import.meta.url,
    ),
  )
  let sources: string
  beforeAll(() => {
    if (!hasLlamaCpp) return
    sources = join(folder.path, 'llama.cpp')
    execFileSync('git', ['clone', '--quiet', '--bare', bundle, sources], { stdio: 'ignore' })
  })

  it.each([
    'llama-bpe',
    'qwen2',
    'gpt-2',
    'llama-spm',
    'phi-3',
    'deepseek-coder',
    'falcon',
    'starcoder',
  ])('the vocabulary of %s', async (name) => {
    const file = join(folder.path, `${name}.gguf`)
    const path = `HEAD:models/ggml-vocab-${name}.gguf`
    const options = { cwd: sources, maxBuffer: 1 << 26 }
    await writeFile(file, execFileSync('git', ['cat-file', 'blob', path], options))
    await expectSameTokens(file)
  })
})

describe('special tokens', () => {
  it('are found in a text, and control tokens stand for no text', async () => {
    const tokenizer = await made(byteLevelFields('qwen2'))
    const ids = tokenizer.encode('<|im_end|><think>user  defined<|im_end|>')
    expect(ids).toHaveLength(4)
    expect(tokenizer.decode(ids)).toBe('<think>user  defined')
  })

  it('that end a text are those of the fields and those that look so', async () => {
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
      'of another kind',
      byteLevelFields('qwen2', { 'tokenizer.ggml.model': string('t5') }),
      /made\.gguf: tokenizer\.ggml\.model "t5" is not supported, only gpt2, llama/,
    ],
    [
      'with words of another kind',
      byteLevelFields('magic'),
      /tokenizer\.ggml\.pre "magic" is not supported, only default, gpt-2/,
    ],
    [
      'without tokens',
      piecesFields({ 'tokenizer.ggml.tokens': uint32(7) }),
      /tokenizer\.ggml\.tokens: expected a list of texts, got 7/,
    ],
    ['with a token twice', piecesFields({ 'tokenizer.ggml.tokens': strings(['a', 'a']) }), /twice/],
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
      'with a merge of one',
      byteLevelFields('qwen2', { 'tokenizer.ggml.merges': strings(['ab']) }),
      /tokenizer\.ggml\.merges: "ab" is no pair/,
    ],
    [
      'with a role for a token that is not there',
      piecesFields({ 'tokenizer.ggml.bos_token_id': uint32(70_000) }),
      /tokenizer\.ggml\.bos_token_id 70000: there are \d+ tokens/,
    ],
  ])('%s', async (_, fields, message) => {
    await expect(made(fields)).rejects.toThrow(message)
  })
})
