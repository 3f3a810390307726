import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DOMParser } from '@xmldom/xmldom'
import type { Comparison, LinearError, LoadOptions } from 'dotpool'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { againstOption, referenceOptions } from '#src/cli/against.js'
import { drawErrors } from '#src/cli/error-chart.js'
import { fixture, temporaryFolder } from '../model/support.js'
import { needLibrary } from '../support/isas.js'
import { dotpool } from './run.js'

needLibrary()

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let file: string
beforeAll(async () => {
  folder = await temporaryFolder()
  file = join(folder.path, 'text.txt')
  await writeFile(
    file,
    'What say you, my lord?\nI say the king is here, and so are we.\n'.repeat(4),
  )
})
afterAll(() => folder[Symbol.asyncDispose]())

const kinds = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']

function evaluate(...args: string[]) {
  return dotpool(['eval', '--model', fixture, ...args, file])
}

async function compare(...args: string[]): Promise<Comparison & { linears: LinearError[] }> {
  const { code, stdout, stderr } = await evaluate('--json', ...args)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return JSON.parse(stdout)
}

test.concurrent('--against float prints both models, the distance between them, and every Linear', async () => {
  const { code, stdout, stderr } = await evaluate('--against', 'float')
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^ +model +reference +change$/m)
  expect(stdout).toMatch(/^nll +\d+\.\d{4} +\d+\.\d{4} +[+-]\d+\.\d{3} %$/m)
  expect(stdout).toMatch(/^perplexity +\d+\.\d{3} +\d+\.\d{3} +[+-]\d+\.\d{3} %$/m)
  expect(stdout).toMatch(/^KL divergence +mean \S+, p50 \S+, p99 \S+, max \S+ nats$/m)
  expect(stdout).toMatch(/^same best token +\d+\.\d % of \d+$/m)
  expect(stdout).toContain(`layer     ${kinds.join('  ')}\n`)
  for (const row of ['0', '5', 'mean'])
    expect(stdout).toMatch(new RegExp(`^${row}( +\\d\\S+){7}$`, 'm'))
  expect(stdout).toMatch(/^lm_head +\d\S+$/m)
})

test.concurrent('--json prints the same by name, and --window applies', async () => {
  const { tokens, kl, sameBest, model, reference, linears, ...others } = await compare(
    ...['--against', 'float', '--window', '32'],
  )
  expect(others).toEqual({})
  expect(tokens % 32).toBe(0)
  expect(Object.keys(kl)).toEqual(['mean', 'p50', 'p99', 'max'])
  expect(kl.mean).toBeGreaterThan(0)
  expect(kl.max).toBeGreaterThanOrEqual(kl.p99)
  expect(kl.p99).toBeGreaterThanOrEqual(kl.p50)
  expect(sameBest).toBeGreaterThan(0.5)
  for (const { nll, perplexity } of [model, reference]) expect(perplexity).toBe(Math.exp(nll))
  expect(linears.slice(0, 7).map(({ kind }) => kind)).toEqual(kinds)
  expect(linears.at(-1)).toMatchObject({ name: 'lm_head', kind: 'lm_head', layer: null })
  for (const { error } of linears) expect(error).toBeGreaterThan(0)
})

test.concurrent('models with the same options do not differ', async () => {
  const { kl, model, reference } = await compare('--kv', 'int8', '--against', 'kv=int8')
  expect(kl).toEqual({ mean: 0, p50: 0, p99: 0, max: 0 })
  expect(model).toEqual(reference)
})

test.concurrent('another checkpoint can be the reference', async () => {
  const { kl } = await compare('--kv', 'bfloat16', '--against', `model=${fixture},kv=bfloat16`)
  expect(kl.max).toBe(0)
})

test.concurrent('different KV cache dtypes change the logits, but no Linear', async () => {
  const { code, stdout } = await evaluate('--kv', 'int8', '--against', 'kv=float32')
  expect(code).toBe(0)
  expect(stdout).not.toContain('mean 0.00,')
  expect(stdout).toMatch(/^Linears +no difference$/m)
})

test.concurrent('--chart draws a bar for every Linear', async () => {
  const chart = join(folder.path, 'chart.svg')
  const { linears } = await compare('--against', 'skip=down_proj', '--chart', chart)
  for (const { kind, error } of linears) expect(error > 0).toBe(kind === 'down_proj')
  const svg = parse(await readFile(chart, 'utf8'))
  const titles = bars(svg).map(({ textContent }) => textContent ?? '')
  expect(titles.length).toBe(linears.length)
  for (const [i, { name }] of sorted(linears).entries()) {
    expect(titles[i]).toMatch(new RegExp(`^${name}: \\S+ %$`))
  }
})

test.concurrent.each([
  [['--against', 'flaot'], '--against: expected float, got the unknown option flaot'],
  [['--against', 'kv=int9'], 'Allowed choices are float32, bfloat16, int8.'],
  [['--against', 'skip=down'], 'skip: expected names of Linears'],
  [['--against', 'model=nowhere'], 'There is no such folder or file.'],
  [['--chart', 'c.svg'], '--chart: expected --against'],
  [['--against', 'float', '--chart', 'no/such/folder/c.svg'], 'no/such/folder/c.svg'],
])('eval %j fails with one line', async (args, message) => {
  const { code, stdout, stderr } = await evaluate(...args)
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
  expect(existsSync('c.svg')).toBe(false)
})

/** The options that load the reference for a model with those options. */
function reference(text: string, own: LoadOptions = {}): LoadOptions {
  return referenceOptions(own, againstOption().parseArg?.(text, {}) as LoadOptions)
}

test.each<[string, LoadOptions, LoadOptions]>([
  ['float', { quantize: 'w8a8', skip: ['lm_head'], kv: 'int8' }, { quantize: 'none' }],
  ['quantize=none,kv=float32', { kv: 'int8' }, { quantize: 'none', kv: 'float32' }],
  ['float', { maxContext: 9 }, { quantize: 'none', maxContext: 9 }],
  [`model=${fixture}`, { quantize: 'w8a8', kv: 'int8', maxContext: 9 }, { maxContext: 9 }],
  ['kv=float32', { quantize: 'w8a8', kv: 'int8' }, { quantize: 'w8a8', kv: 'float32' }],
  ['kv=bfloat16', {}, { kv: 'bfloat16' }],
  [
    'skip=lm_head, skip=down_proj',
    { kv: 'float32' },
    { kv: 'float32', skip: ['lm_head', 'down_proj'] },
  ],
])('--against %s of %o is %o', (text, own, expected) => {
  expect(reference(text, own)).toEqual(expected)
})

test.each([
  ['quantise=none', '--against: expected quantize, got the unknown option quantise'],
  [
    'max-context=9',
    '--against: expected one of float, model, quantize, head, skip, outliers, kv, got',
  ],
  ['', '--against: expected'],
  ['kv', 'Write kv=VALUE.'],
  ['kv=int8,', '--against: expected'],
  ['quantize=no', 'Allowed choices are w8a8, w4a8, none.'],
])('--against %j is refused', (text, message) => {
  expect(() => reference(text)).toThrow(message)
})

test('a chart draws bars to one scale and marks the worst of each kind', () => {
  const errors = [0.02, 0.04].map((error, layer) => {
    return { name: `model.layers.${layer}.mlp.up_proj`, kind: 'up_proj', layer, error }
  })
  const head = { name: 'lm_head', kind: 'lm_head', layer: null, error: 0.01 }
  const all = bars(parse(drawErrors([...errors, head])))
  const heights = all.map((bar) => Number(bar.getAttribute('height')))
  expect(heights[0] / heights[1]).toBeCloseTo(0.5, 2)
  expect(heights[2] / heights[1]).toBeCloseTo(0.25, 2)
  expect(all.map((bar) => bar.getAttribute('class'))).toEqual(['bar', 'bar worst', 'bar worst'])
})

test('a chart of no errors at all has flat bars', () => {
  const [bar] = bars(
    parse(drawErrors([{ name: 'lm_head', kind: 'lm_head', layer: null, error: 0 }])),
  )
  expect(bar.getAttribute('height')).toBe('0.00')
})

/** Parses an SVG image; throws if it is not well-formed. */
function parse(svg: string) {
  const root = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement
  expect(root?.tagName).toBe('svg')
  return root as NonNullable<typeof root>
}

function bars(svg: ReturnType<typeof parse>) {
  return Array.from(svg.getElementsByTagName('rect')).filter((rect) =>
    rect.getAttribute('class')?.startsWith('bar'),
  )
}

/** By kind, in the chart's order. */
function sorted(linears: readonly LinearError[]): LinearError[] {
  return [...kinds, 'lm_head'].flatMap((kind) => linears.filter((linear) => linear.kind === kind))
}
