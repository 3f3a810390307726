import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { ApiError } from './errors.js'

const problems: Readonly<Record<string, ApiError>> = {
  ERR_HTTP_REQUEST_TIMEOUT: new ApiError(408, 'the request took too long to arrive'),
  HPE_HEADER_OVERFLOW: new ApiError(431, 'the headers of the request are too large'),
}
const malformed = new ApiError(400, 'this is no request of HTTP')

/** Tells what is wrong with what a client has sent, where it came to no request, and closes the connection. */
export function answerBrokenRequest({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET' || socket.destroyed) return
  const { statusCode, body } = problems[code] ?? malformed
  const text = JSON.stringify(body)
  const lines = [
    `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`)
  // whatever else it sends
  socket.destroySoon()
}
