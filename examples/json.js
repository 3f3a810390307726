// JSON by schema: a logits processor masks every token that leads away from it, so that even a model which was
// never taught JSON writes what fits. This schema has only enums, so that all of its documents can be listed; for
// free strings and arrays put a grammar in the place of the list.
//
//   node examples/json.js
//
// Prints a document of the schema, such as `{"speaker":"ROMEO","alive":true,"act":3}`.

import { fileURLToPath } from 'node:url'
import { Model, Pool } from 'dotpool'

const properties = {
  speaker: { enum: ['ROMEO', 'JULIET', 'NURSE'] },
  alive: { enum: [true, false] },
  act: { enum: [1, 2, 3, 4, 5] },
}

let objects = [{}]
for (const [name, { enum: values }] of Object.entries(properties)) {
  objects = objects.flatMap((object) => values.map((value) => ({ ...object, [name]: value })))
}
const documents = objects.map((object) => JSON.stringify(object))

const folder = fileURLToPath(new URL('../fixtures/qwen3-shakespeare-w8a8', import.meta.url))
const pool = await Pool.create()
const model = await Model.load(pool, folder)
const { tokenizer, config } = model

const prompt = tokenizer.encode('Who speaks?\n')
const texts = Array.from({ length: config.vocabSize }, (_, id) => tokenizer.stream(prompt).push(id))

function keepToSchema(logits, ids) {
  const written = tokenizer.decode(ids.slice(prompt.length))
  const isDone = documents.includes(written)
  for (let id = 0; id < logits.length; id++) {
    const next = written + texts[id]
    const isNext = next !== written && documents.some((document) => document.startsWith(next))
    if (!(isDone ? config.eosTokenIds.includes(id) : isNext)) logits[id] = -Infinity
  }
}

const options = { processors: [keepToSchema], sampling: { temperature: 1 } }
for await (const piece of model.generate(prompt, options)) process.stdout.write(piece)
console.log()
await pool.close()
