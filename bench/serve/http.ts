import { type Dispatcher, Pool } from 'undici'
import { type Part, readEvents } from './events.js'
import type { Send } from './load.js'

/**
 * Sends requests to `POST /v1/completions`, streaming, on sockets that are kept alive. It is undici's lowest layer, and
 * reads nothing before a response has ended: what it costs, it takes from the server on the same cores.
 */
export function httpSender(url: string): Send {
  const pool = new Pool(url, { connections: null, headersTimeout: 0, bodyTimeout: 0 })
  return (prompt, tokens) =>
    new Promise((resolve, reject) => {
      const parts: Part[] = []
      const sent = performance.now()
      const options: Dispatcher.DispatchOptions = {
        path: '/v1/completions',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          prompt,
          max_tokens: tokens,
          temperature: 0,
          ignore_eos: true,
          stream: true,
          stream_options: { include_usage: true },
        }),
      }
      let status = 0
      pool.dispatch(options, {
        // undici knows such handlers by it
        onRequestStart: () => {},
        onResponseStart: (_, code) => {
          status = code
        },
        onResponseData: (_, bytes) => {
          parts.push({ time: performance.now(), bytes })
        },
        onResponseEnd: () => {
          if (status === 200) resolve(() => ({ sent, ...readEvents(parts) }))
          else reject(new Error(`${status}: ${Buffer.concat(parts.map(({ bytes }) => bytes))}`))
        },
        onResponseError: (_, error) => reject(error),
      })
    })
}
