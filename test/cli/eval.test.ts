import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fixture, readIds, readJson, temporaryFolder } from '../model/support.js'
import { parseTokenizer } from '../model/texts.js'
import { needLibrary } from '../support/isas.js'
import { dotpool } from './run.js'

needLibrary()

const { window, nll_w8a8, nll_fp32 } = readJson(join(fixture, 'val_windows.json'))

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let file: string
/** The beginning of the text, for comparisons of a model with itself. */
let short: string

/** The text whose NLL the fixture states. */
beforeAll(async () => {
  folder = await temporaryFolder()
  file = join(folder.path, 'validation.txt')
  const tokenizer = parseTokenizer(readJson(join(fixture, 'tokenizer.json')))
  const text = (windows: number) =>
    tokenizer.decode(readIds(join(fixture, 'val_ids.u16')).subarray(0, windows * window))
  short = join(folder.path, 'short.txt')
  await writeFile(file, text(nll_w8a8.length))
  await writeFile(short, text(2))
})

afterAll(() => folder[Symbol.asyncDispose]())

function evaluate(args: string[], input?: string) {
  return dotpool(['eval', '--model', fixture, ...args], input === undefined ? {} : { input })
}

test.concurrent('eval prints tokens, NLL and perplexity in one line', async () => {
  const { code, stdout, stderr } = await evaluate([file])
  expect(stderr).toBe('')
  expect(code).toBe(0)
  const [, tokens, nll, perplexity] =
    /^(\d+) tokens, nll (\S+), perplexity (\S+), \S+ tokens\/s\n$/.exec(stdout) ?? []
  expect(Number(tokens)).toBe(nll_w8a8.length * window)
  expect(Number(nll)).toBeCloseTo(mean(nll_w8a8), 2)
  expect(Number(perplexity)).toBeCloseTo(Math.exp(Number(nll)), 1)
})

test.concurrent('--json prints JSON, and --quantize none runs in float32', async () => {
  const { code, stdout } = await evaluate([file, '--json', '--quantize', 'none'])
  expect(code).toBe(0)
  const { tokens, nll, perplexity, tokensPerSecond } = JSON.parse(stdout)
  expect(tokens).toBe(nll_fp32.length * window)
  expect(nll).toBeCloseTo(mean(nll_fp32), 2)
  expect(perplexity).toBeCloseTo(Math.exp(nll), 6)
  expect(tokensPerSecond).toBeGreaterThan(0)
})

test.concurrent('- reads stdin', async () => {
  const [fromFile, fromStdin] = await Promise.all([
    evaluate([short]),
    evaluate(['-'], await readFile(short, 'utf8')),
  ])
  expect(fromStdin.code).toBe(0)
  expect(scores(fromStdin.stdout)).toBe(scores(fromFile.stdout))
})

test.concurrent('shorter windows raise the NLL of a text; an int8 KV cache hardly changes it', async () => {
  const results = await Promise.all([
    evaluate([short, '--json']),
    evaluate([short, '--json', '--window', '32']),
    evaluate([short, '--json', '--kv', 'int8']),
  ])
  const [whole, windows, int8] = results.map(({ stdout }) => JSON.parse(stdout).nll)
  expect(windows).toBeGreaterThan(whole)
  expect(int8).not.toBe(whole)
  expect(int8).toBeCloseTo(whole, 1)
})

test.concurrent.each([
  [['no-such-file'], 'no-such-file'],
  [['-'], 'file: expected a text of at least 2 tokens, got 0'],
  [['package.json', '--window', '1'], 'window: expected'],
])('eval %j fails with one line', async (args, message) => {
  const { code, stdout, stderr } = await evaluate(args)
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: .*\n$/)
  expect(stderr).toContain(message)
})

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length
}

/** Everything but the speed. */
function scores(line: string): string {
  return line.slice(0, line.lastIndexOf(','))
}
