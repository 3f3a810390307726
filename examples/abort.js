// Three ways to end a text early: to stop reading it, an AbortController, a timeout. Its work ends with the next
// step, other texts go on, and what has come so far is yours.
//
//   node examples/abort.js
//
// Prints `break: 20 pieces`, `abort: AbortError, kept 20 pieces` and `timeout: TimeoutError`.

import { fileURLToPath } from 'node:url'
import { Model, Pool } from 'dotpool'

const folder = fileURLToPath(new URL('../fixtures/qwen3-shakespeare-w8a8', import.meta.url))
const pool = await Pool.create()
const model = await Model.load(pool, folder)
const endless = { maxTokens: 900, ignoreEnd: true }

let count = 0
for await (const _ of model.generate('ROMEO:\n', endless)) {
  if (++count === 20) break // the model stops, too
}
console.log(`break: ${count} pieces`)

const controller = new AbortController()
const pieces = []
try {
  for await (const piece of model.generate('JULIET:\n', {
    ...endless,
    signal: controller.signal,
  })) {
    pieces.push(piece)
    if (pieces.length === 20) controller.abort() // a button, a closed connection, ...
  }
} catch (error) {
  if (!controller.signal.aborted) throw error
  console.log(`abort: ${error.name}, kept ${pieces.length} pieces`)
}

const signal = AbortSignal.timeout(20) // milliseconds
try {
  for await (const _ of model.generate('HAMLET:\n', { ...endless, signal }));
} catch (error) {
  if (error !== signal.reason) throw error
  console.log(`timeout: ${error.name}`)
}

await pool.close()
