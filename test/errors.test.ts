import { readFileSync } from 'node:fs'
import * as dotpool from 'dotpool'
import { describe, expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const source = read('src/errors.ts')
const rows = [
  ...read('docs/errors.md').matchAll(/^\| `(ERR_\w+)` *\| `(\w+)` *\| (.*?) *\| (.*?) *\|$/gm),
]

describe('docs/errors.md', () => {
  it('lists every code once, with its meaning and remedy', () => {
    const [, union] = /^export type ErrorCode =\n((?: {2}\| '\w+'\n)+)/m.exec(source) ?? []
    const codes = [...union.matchAll(/ERR_\w+/g)].map(([code]) => code)
    expect(rows.map(([, code]) => code).sort()).toEqual(codes.sort())
    for (const [, , , meaning, remedy] of rows) expect([meaning, remedy]).not.toContain('')
  })

  it('names the class of each code', () => {
    const classes = source.matchAll(/^export class (\w+) extends DotpoolError \{.*?^\}/gms)
    const pairs = Array.from(classes, ([text, name]) => [/'(ERR_\w+)'/.exec(text)?.[1], name])
    const listed = rows.map(([, code, name]) => [code, name])
    expect(listed).toEqual(expect.arrayContaining(pairs))
    expect(listed.filter(([, name]) => name !== 'DotpoolError')).toHaveLength(pairs.length)
    expect(Object.keys(dotpool)).toEqual(expect.arrayContaining(listed.map(([, name]) => name)))
  })
})
