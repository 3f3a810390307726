import { expect, it } from 'vitest'
import { ArgumentError } from '#src/errors.js'
import { skipMatcher } from '#src/model/config/skip.js'

const names = ['model.layers.0.mlp.up_proj', 'model.layers.10.mlp.up_proj', 'lm_head']

it.each<[string, number[]]>([
  ['lm_head', [2]],
  ['up_proj', [0, 1]],
  ['mlp.up_proj', [0, 1]],
  ['model.layers.0.*', [0]],
  ['layers.1*', [1]],
  ['*', [0, 1, 2]],
])('skip %s', (entry, matched) => {
  const skipped = skipMatcher([entry], names)
  expect(names.flatMap((name, i) => (skipped(name) === entry ? [i] : []))).toEqual(matched)
})

it.each(['proj', 'lm.head', '', 'down_proj', 'model'])(
  'refuses %j, which skips nothing',
  (entry) => {
    expect(() => skipMatcher(['lm_head', entry], names)).toThrow(ArgumentError)
  },
)
