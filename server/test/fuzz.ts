import fc from 'fast-check'
import { expect } from 'vitest'
import { request } from './bodies.js'
import { Conformance } from './openapi.js'
import { type RequestDocument, requestsOf } from './schema-bodies.js'
import { post } from './support.js'

/** Posts so many bodies, right and wrong: each gets an answer that is as the OpenAPI document says, and none a 5xx. */
export async function fuzz(url: string, runs: number): Promise<Set<string>> {
  const conformance = await Conformance.of(url)
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as RequestDocument
  const requests = fc.oneof(request, requestsOf(document))
  await fc.assert(
    fc.asyncProperty(requests, async ({ path, body }) => {
      const response = await post(`${url}${path}`, body)
      expect(response.status, await response.clone().text()).toBeLessThan(500)
      await conformance.check('POST', response.url, response)
    }),
    { numRuns: runs },
  )
  return conformance.checked
}
