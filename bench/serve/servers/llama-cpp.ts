import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import {
  getLlama,
  getModuleVersion,
  type LlamaContextSequence,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
} from 'node-llama-cpp'
import type { Server } from '../server.js'

interface Body {
  prompt: Token[]
  max_tokens: number
}

/**
 * llama.cpp on the CPU, with its defaults except for the threads, behind a route that does as little as such a route can:
 * it checks nothing, and samples greedily. A request has a sequence of its own; their steps are joined by the library.
 */
export const llamaCpp: Server = {
  version: await getModuleVersion(),
  listen: async (modelPath, threads, sequences, length) => {
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      maxThreads: threads,
      // it warns of a tokenizer without an end-of-sequence token
      logLevel: LlamaLogLevel.error,
    })
    const model = await llama.loadModel({ modelPath })
    const context = await model.createContext({
      sequences,
      // it shifts a context that has no room for one more
      contextSize: length + 2,
      threads: { ideal: threads, min: threads },
    })
    const free = Array.from({ length: sequences }, () => context.getSequence())
    const server = createServer(async (request, response) => {
      const body = (await json(request)) as Body
      const sequence = free.pop()
      if (sequence === undefined) {
        response.writeHead(429).end()
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
      for await (const text of generate(model, sequence, body)) {
        response.write(toEvent({ choices: [{ index: 0, text }] }))
      }
      response.write(toEvent({ choices: [], usage: { completion_tokens: body.max_tokens } }))
      response.end('data: [DONE]\n\n')
      free.push(sequence)
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
}

async function* generate(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  { prompt, max_tokens }: Body,
): AsyncGenerator<string, void, void> {
  await sequence.clearHistory()
  let input = prompt
  for (let i = 0; i < max_tokens; i++) {
    const last = input.length - 1
    // `evaluate` would end at tokens that end a text
    const results = await sequence.controlledEvaluate([
      ...input.slice(0, last),
      [input[last], { generateNext: { token: true, options: { temperature: 0 } } }],
    ])
    const token = results[last]?.next.token
    if (token === undefined || token === null) throw new Error('node-llama-cpp gave no next token')
    yield model.detokenize([token], true, input)
    input = [token]
  }
}

function toEvent(body: object): string {
  return `data: ${JSON.stringify(body)}\n\n`
}
