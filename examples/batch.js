// Many prompts at once: they share the model's steps, which takes little longer than one of them, and each gets
// the text that it would get alone.
//
//   node examples/batch.js
//
// Prints a line of JSON for each prompt, `{"prompt":"ROMEO:\n","text":"..."}`, and then how many steps it took.

import { fileURLToPath } from 'node:url'
import { Model, Pool } from 'dotpool'

const folder = fileURLToPath(new URL('../fixtures/qwen3-shakespeare-w8a8', import.meta.url))
const prompts = ['ROMEO:\n', 'JULIET:\n', 'KING HENRY:\n', 'MACBETH:\n', 'HAMLET:\n', 'OTHELLO:\n']

const pool = await Pool.create()
const model = await Model.load(pool, folder)

async function complete(prompt) {
  let text = ''
  for await (const piece of model.generate(prompt, { maxTokens: 40 })) text += piece
  return text
}

const texts = await Promise.all(prompts.map(complete))
prompts.forEach((prompt, i) => {
  console.log(JSON.stringify({ prompt, text: texts[i] }))
})

const { steps, tokens } = model.stats()
console.error(`${tokens} tokens in ${steps} steps`)

await pool.close()
