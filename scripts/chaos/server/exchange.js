import http from 'node:http'

/**
 * What came of a request: all of its response, or what there was when this client left.
 *
 * @typedef {{ status: number, headers: http.IncomingHttpHeaders, text: string, hasLeft: boolean }} Outcome
 */

/** The connection broke, or there was none. */
export class BrokenError extends Error {
  /**
   * @param {string} path
   * @param {Outcome} outcome what had come
   * @param {Error} cause
   */
  constructor(path, outcome, cause) {
    super(`${path}: ${outcome.status} ${outcome.text}`, { cause })
    this.outcome = outcome
  }
}

/**
 * When a client leaves: a time after it has sent its request, or so many bytes of the body; or how long it does not read.
 *
 * @typedef {{ leavesAfterMillis?: number, leavesAfterBytes?: number, pauseMillis?: number }} Manners
 */

/**
 * @param {http.Agent} agent with its port
 * @param {string} path
 * @param {string | Buffer | undefined} body
 * @param {Manners} manners
 * @param {http.OutgoingHttpHeaders} headers
 * @returns {Promise<Outcome>}
 * @throws BrokenError
 */
export function exchange(agent, path, body, manners = {}, headers = {}) {
  const { leavesAfterMillis, leavesAfterBytes = Infinity, pauseMillis } = manners
  return new Promise((resolve, reject) => {
    let text = ''
    /** @type {http.IncomingMessage | undefined} */
    let response
    let hasLeft = false
    const outcome = () => {
      clearTimeout(timer)
      const { statusCode: status = 0, headers = {} } = response ?? {}
      return { status, headers, text, hasLeft }
    }
    const end = () => resolve(outcome())
    const leave = () => {
      hasLeft = true
      request.destroy()
      end()
    }
    const request = http.request({
      agent,
      path,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: 'Bearer key',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    })
    const timer = leavesAfterMillis === undefined ? undefined : setTimeout(leave, leavesAfterMillis)
    request.on('response', (incoming) => {
      response = incoming
      incoming.setEncoding('utf8')
      incoming.on('data', (/** @type {string} */ part) => {
        text += part
        if (text.length >= leavesAfterBytes && !hasLeft) leave()
      })
      incoming.on('end', end)
      incoming.on('error', fail)
      if (pauseMillis !== undefined) {
        incoming.pause()
        setTimeout(() => incoming.resume(), pauseMillis)
      }
    })
    const fail = (/** @type {Error} */ error) => {
      if (!hasLeft) reject(new BrokenError(path, outcome(), error))
    }
    request.on('error', fail)
    request.end(body)
  })
}
