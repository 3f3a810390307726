import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gguf } from '../../support/gguf.js'
import { askLlamaCpp } from '../../support/llama-cpp.js'
import { randomNumbers } from '../../support/random.js'
import { madeTokenizers, multilingualText } from './tokenizers.js'

/*
 * Writes tokens.json: llama.cpp's tokens of a text. With node-llama-cpp in bench/peers, in this folder: node --import
 * ../../../bench/peers/node_modules/tsx/dist/esm/index.mjs tokens.ts > tokens.json
 */

const text = multilingualText(500, randomNumbers(3))
const tokens: Record<string, number[]> = {}
const file = join(mkdtempSync(join(tmpdir(), 'dotpool-')), 'vocabulary.gguf')
for (const [name, fields] of Object.entries(madeTokenizers)) {
  writeFileSync(file, gguf(fields()))
  const {
    bos,
    eos,
    tokens: [between],
  } = await askLlamaCpp({ file, texts: [text] })
  tokens[name] = [bos, ...between, eos].filter((token) => token !== undefined)
}
console.log(JSON.stringify({ text, tokens }))
