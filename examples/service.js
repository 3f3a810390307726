// A Linear layer as an HTTP service: it runs on every core, and the event loop stays free for other requests.
//
//   node examples/service.js
//   curl --data '[1, 2, 3, 4]' localhost:8080
//
// Prints `Linear(in_features=4, ...) on Pool(...): http://localhost:8080`; curl prints `[10,2.5]`. Ctrl-C ends it.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { ArgumentError, Linear, Pool, QueueFullError } from 'dotpool'

const weight = Float32Array.of(1, 1, 1, 1, 0.25, 0.25, 0.25, 0.25) // the sum and the mean of four numbers

const pool = await Pool.create()
const linear = await Linear.fromFloat(pool, weight, { inFeatures: 4, outFeatures: 2, outliers: 4 })

const server = createServer(async (request, response) => {
  const gone = new AbortController()
  response.on('close', () => gone.abort()) // nobody waits for the answer any more
  try {
    const x = Float32Array.from(await json(request))
    const y = await linear.forward(x, { signal: gone.signal })
    response.end(JSON.stringify(Array.from(y)))
  } catch (error) {
    response.writeHead(statusOf(error)).end(String(error))
  }
})

function statusOf(error) {
  if (error instanceof ArgumentError || error instanceof SyntaxError) return 400
  if (error instanceof QueueFullError) return 503 // try again later
  return 500
}

server.listen(process.env.PORT ?? 8080)
await once(server, 'listening')
console.log(`${linear} on ${pool}: http://localhost:${server.address().port}`)

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => server.close(() => pool.close())) // answers what has come, then ends
}
