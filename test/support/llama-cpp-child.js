// Answers a question about a GGUF file: see llama-cpp.ts.
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'

const entry = pathToFileURL(join(process.argv[2], 'dist/index.js')).href
const { getLlama, LlamaLogLevel } = await import(entry)
/** @type {import('./llama-cpp.js').Question} */
const question = JSON.parse(await text(process.stdin))
const { file, texts = [], prompts = [], maxTokens = 0 } = question

// with more, its threads wait for each other for minutes on a busy machine
const llama = await getLlama({
  gpu: false,
  build: 'never',
  maxThreads: 1,
  logLevel: LlamaLogLevel.disabled,
})
const model = await llama.loadModel({ modelPath: file, vocabOnly: prompts.length === 0 })
/** @type {import('./llama-cpp.js').Answer} */
const answer = {
  tokens: texts.map((text) => model.tokenize(text, true)),
  bos: model.tokens.shouldPrependBosToken ? model.tokens.bos : undefined,
  eos: model.tokens.shouldAppendEosToken ? model.tokens.eos : undefined,
  continuations: [],
}
if (prompts.length > 0) {
  const longest = Math.max(...prompts.map(({ length }) => length))
  const context = await model.createContext({ contextSize: longest + maxTokens + 2 })
  const sequence = context.getSequence()
  for (const prompt of prompts) {
    await sequence.clearHistory()
    const tokens = []
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      tokens.push(token)
      if (tokens.length === maxTokens || model.isEogToken(token)) break
    }
    answer.continuations.push(tokens)
  }
}
process.stdout.write(JSON.stringify(answer), () => process.exit())
