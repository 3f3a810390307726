import { expect, it } from 'vitest'
import { checkRandomSchemas } from '../model/grammar/schemas.js'

it('admits only texts that parse and are valid, for thousands of schemas', {
  timeout: 600_000,
}, () => {
  expect(checkRandomSchemas(4000)).toBeGreaterThan(2000)
})
