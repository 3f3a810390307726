import { createHash, timingSafeEqual } from 'node:crypto'
import { ApiError } from './errors.js'

/**
 * Checks the keys of requests. It compares digests, all of them each time: how long it takes tells nothing of a key.
 *
 * @returns a function that throws an ApiError unless the value of an Authorization header has one of the keys
 */
export function keyChecker(keys: readonly string[]): (authorization: string | undefined) => void {
  const digests = keys.map(digest)
  return (authorization = '') => {
    const given = digest(/^Bearer +(.*)$/i.exec(authorization)?.[1] ?? '')
    const matches = digests.filter((key) => timingSafeEqual(key, given)).length
    if (matches > 0) return
    const message = 'expected a valid API key in the header `Authorization: Bearer KEY`'
    throw new ApiError(401, message, { code: 'invalid_api_key' })
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
