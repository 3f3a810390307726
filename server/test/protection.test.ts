import type { Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServer } from '#server/index.js'

let app: ReturnType<typeof createServer>
beforeEach(() => {
  app = createServer({ models: {} })
})
afterEach(async () => await app.close())

/** Starts the server, with other limits of Node.js than it has. */
async function listen(limits: Partial<Server> & { connectionsCheckingInterval?: number } = {}) {
  Object.assign(app.server, limits)
  await app.listen({ host: '127.0.0.1', port: 0 })
}

/** What a client is sent that sends this, until the server closes the connection. */
async function exchange(sent: string): Promise<string> {
  const { port } = app.server.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {}) // the end of a connection that was closed
  socket.write(sent)
  let received = ''
  for await (const chunk of socket) received += chunk
  return received
}

function bodyOf(response: string): unknown {
  return JSON.parse(response.slice(response.indexOf('\r\n\r\n')))
}

const head = 'POST /tokenize HTTP/1.1\r\nhost: localhost\r\n'

describe('a server', () => {
  it.each([
    ['sends nothing', '', { headersTimeout: 20 }],
    ['sends its headers slowly', `${head}x-slow:`, { headersTimeout: 20 }],
    [
      'sends its body slowly',
      `${head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
      { headersTimeout: 20, requestTimeout: 40 },
    ],
  ])('ends the connection of a client that %s', async (_, sent, limits) => {
    await listen({ ...limits, connectionsCheckingInterval: 10 })
    const response = await exchange(sent)
    expect(response).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n/)
    expect(bodyOf(response)).toEqual({
      error: {
        message: 'the request took too long to arrive',
        ...{ type: 'invalid_request_error', param: null, code: null },
      },
    })
  })

  it('has such limits', async () => {
    await listen()
    const { headersTimeout, requestTimeout, keepAliveTimeout } = app.server
    for (const limit of [headersTimeout, requestTimeout, keepAliveTimeout]) {
      expect(limit).toBeGreaterThan(0)
      expect(limit).toBeLessThanOrEqual(120_000)
    }
  })

  it('closes connections that are kept alive, and idle', async () => {
    await listen({ keepAliveTimeout: 1 })
    const response = await exchange('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
    expect(response).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(response).toContain('{"status":"ok"}')
  })

  it('refuses headers that are too large', async () => {
    await listen()
    const response = await exchange(`${head}x-large: ${'a'.repeat(20_000)}\r\n\r\n`)
    expect(response).toMatch(/^HTTP\/1.1 431 Request Header Fields Too Large\r\n/)
    expect(bodyOf(response)).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('refuses what is no request', async () => {
    await listen()
    const response = await exchange('how do you do?\r\n\r\n')
    expect(response).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/)
    expect(bodyOf(response)).toMatchObject({ error: { message: 'this is no request of HTTP' } })
  })
})
