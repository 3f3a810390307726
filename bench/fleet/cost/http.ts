import { Agent, type IncomingMessage, request } from 'node:http'
import { type Part, readEvents } from '../../serve/events.js'
import type { Send } from '../../serve/load.js'

/** Sends requests to `POST /v1/completions`, streaming, on sockets that are kept alive; reads them once they have ended. */
export function httpSender(url: string): Send {
  const agent = new Agent({ keepAlive: true, noDelay: true })
  return async (prompt, tokens) => {
    const parts: Part[] = []
    const sent = performance.now()
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      request(`${url}/v1/completions`, { method: 'POST', agent, headers }, resolve)
        .on('error', reject)
        .end(
          JSON.stringify({
            prompt,
            max_tokens: tokens,
            temperature: 0,
            ignore_eos: true,
            stream: true,
            stream_options: { include_usage: true },
          }),
        )
    })
    for await (const bytes of response) parts.push({ time: performance.now(), bytes })
    if (response.statusCode !== 200) {
      throw new Error(`${response.statusCode}: ${Buffer.concat(parts.map(({ bytes }) => bytes))}`)
    }
    return () => ({ sent, ...readEvents(parts) })
  }
}
