import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readHeader } from '../../scripts/layouts/header.js'
import { typescript } from '../../scripts/layouts/typescript.js'
import { OpKind, OpLayout, writeNormParams } from '../../src/native/layout.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const hasCompiler = spawnSync(process.env.CC || 'cc', ['--version']).status === 0

describe('the layouts that C and TypeScript share', () => {
  it.skipIf(!hasCompiler)('are those that the C compiler gives the header', () => {
    const { status, stderr } = spawnSync('node', ['scripts/layouts.js', '--check'], {
      cwd: root,
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  it('write integers, floats and addresses of 64 bits', () => {
    const words = new Uint32Array(OpLayout.words)
    const none = { u: 0, rows: 0, scale: 0, y: 0, xq: 0, xScale: 0 }
    writeNormParams(words, 4, { x: 3 * 2 ** 32 + 5, ...none, n: 7, k: 9, outliers: 1, eps: 0.5 })
    expect([...words.subarray(4, 6)]).toEqual([5, 3])
    const sizes = [...words].filter((word) => word !== 0)
    expect(sizes).toEqual([5, 3, 7, 9, 1, 0x3f000000])
  })

  it('number the kinds of ops without gaps', () => {
    expect(Object.values(OpKind).sort((a, b) => a - b)).toEqual(
      Object.keys(OpKind).map((_, i) => i),
    )
  })
})

describe('the header', () => {
  const source = `
#define DP_SIZE 8
typedef enum dp_thing_kind { DP_THING_RED = 0, DP_THING_DARK_BLUE = 2 } dp_thing_kind;

/* What a thing is made of */
typedef struct dp_thing_params {
  uint64_t at; /* an address; of what */
  float size, weight;
  uint32_t padding;
} dp_thing_params;
`
  const header = readHeader(source)

  it('tells constants, enumerations, and structs but for their padding', () => {
    expect(header.constants).toEqual(['DP_SIZE'])
    expect(header.enums).toEqual([
      { name: 'dp_thing_kind', values: ['DP_THING_RED', 'DP_THING_DARK_BLUE'] },
    ])
    expect(header.structs).toEqual([
      {
        name: 'dp_thing_params',
        text: 'What a thing is made of',
        fields: [
          { name: 'at', type: 'uint64_t' },
          { name: 'size', type: 'float' },
          { name: 'weight', type: 'float' },
        ],
      },
    ])
  })

  it('becomes constants and a function that writes the parameters', () => {
    const text = typescript(header, {
      values: { DP_SIZE: 8, DP_THING_RED: 0, DP_THING_DARK_BLUE: 2 },
      sizes: { dp_thing_params: 24 },
      offsets: { dp_thing_params: { at: 0, size: 8, weight: 12 } },
    })
    for (const line of [
      'export const SIZE = 8',
      'export const ThingKind = {\n  red: 0,\n  darkBlue: 2,\n} as const',
      'writeAddress(words, at, params.at)',
      'writeFloat(words, at + 3, params.weight)',
    ]) {
      expect(text).toContain(line)
    }
  })
})
