import type { AddressInfo } from 'node:net'
import { createServer } from '@dotpool/server'
import { Model, Pool } from '../../../dist/src/index.js'
import { version } from '../../../dist/src/version.js'
import type { Server } from '../server.js'

let model: Model

/** This server, and the library that it stands on. */
export const dotpool: Server = {
  version,
  listen: async (path, threads) => {
    const pool = await Pool.create({ threads })
    model = await Model.load(pool, path, { quantize: 'w8a8' })
    const app = createServer({ models: { model } })
    await app.listen({ host: '127.0.0.1', port: 0 })
    return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  },
  send: async (prompt, tokens) => {
    const pieces: number[] = []
    const sent = performance.now()
    const run = model.generate(prompt, { maxTokens: tokens, ignoreEnd: true })
    for await (const { text } of run.chunks()) if (text !== '') pieces.push(performance.now())
    const { usage } = await run.result
    return () => ({ sent, pieces, tokens: usage.completionTokens })
  },
}
