// A conversation: each line that comes is answered, and the answer streams as it is written.
//
//   node examples/chat.js [MODEL]
//
// MODEL is a Hugging Face folder or a GGUF file that has a chat template. Without one the small model of this
// repository answers as Juliet: a few lines of something like Shakespeare for each of yours. Ctrl-D ends it.

import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Model, Pool } from 'dotpool'

const fixture = fileURLToPath(new URL('../fixtures/qwen3-shakespeare-w8a8', import.meta.url))
const folder = process.argv[2] ?? fixture

const pool = await Pool.create()
const model = await Model.load(pool, folder, { quantize: 'w8a8' })

// The small model has read plays and has no chat template: its conversation is a play.
function asPlay(messages) {
  const speeches = messages.map(({ role, content }) => {
    return `${role === 'user' ? 'ROMEO' : 'JULIET'}:\n${content}\n\n`
  })
  return `${speeches.join('')}JULIET:\n`
}

const options = { maxTokens: 200, sampling: { temperature: 0.7, topP: 0.8 } }
const messages = []

for await (const line of createInterface({ input: process.stdin })) {
  messages.push({ role: 'user', content: line })
  const answer =
    folder === fixture
      ? model.generate(asPlay(messages), { ...options, stop: ['\n\n'] })
      : model.generate(messages, options)
  let content = ''
  for await (const piece of answer) {
    process.stdout.write(piece)
    content += piece
  }
  process.stdout.write('\n\n')
  messages.push({ role: 'assistant', content }) // the next answer reads only what is new since this one
}

await pool.close()
