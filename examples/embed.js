// Search by meaning: which lines are nearest to a query. Qwen3-Embedding is made for it; the small model of this
// repository, which the program takes unless another is named, is not.
//
//   node examples/embed.js [FOLDER]
//
// Prints the lines, the nearest first, each behind the cosine of its angle to the query: `0.812 The king is dead.`

import { fileURLToPath } from 'node:url'
import { Model, Pool } from 'dotpool'

const small = fileURLToPath(new URL('../fixtures/qwen3-shakespeare-w8a8', import.meta.url))
const [folder = small] = process.argv.slice(2)
const task = 'Given a question, retrieve lines that answer it'
const query = `Instruct: ${task}\nQuery:Who reigns?`
const lines = ['The king is dead.', 'It rains in Verona.', 'Her brother wears the crown now.']

const pool = await Pool.create()
const model = await Model.load(pool, folder, { quantize: 'w8a8' })

// all of them share the model's steps
const [asked, ...vectors] = await model.embed([query, ...lines])
const found = vectors.map((vector, i) => ({ line: lines[i], cosine: dot(asked, vector) }))
for (const { line, cosine } of found.sort((a, b) => b.cosine - a.cosine)) {
  console.log(`${cosine.toFixed(3)} ${line}`)
}

await pool.close()

/** The cosine, as the vectors have length 1. */
function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0)
}
