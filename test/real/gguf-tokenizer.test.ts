import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { madeTokenizers, multilingualText, openTokenizer } from '../model/gguf/tokenizers.js'
import { temporaryFolder } from '../model/support.js'
import { gguf } from '../support/gguf.js'
import { askLlamaCpp, hasLlamaCpp, llamaCppNote } from '../support/llama-cpp.js'
import { randomNumbers } from '../support/random.js'

describe.skipIf(!hasLlamaCpp)(
  `tokens of 100 kB in many scripts match llama.cpp's${llamaCppNote}`,
  () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    beforeAll(async () => {
      folder = await temporaryFolder()
    })
    afterAll(() => folder[Symbol.asyncDispose]())

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

    // node-llama-cpp ships the sources of llama.cpp, which contain vocabularies of published models
    const bundle = fileURLToPath(
      new URL(
        '../../bench/peers/node_modules/node-llama-cpp/llama/gitRelease.bundle',
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
  },
)
