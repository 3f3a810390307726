import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { markdownTable } from 'markdown-table'
import { Model, Pool } from '../../../dist/src/index.js'
import { describeMachine } from '../../../dist/src/measure/machine.js'
import { divergence } from '../../../dist/src/model/evaluation/divergence.js'
import { makePython, run } from '../../../scripts/python.js'
import { llamaCppLogits } from './llama-cpp.js'

/** The types that the gguf package writes, best first. Others need rows of 256, and have no writer outside llama.cpp. */
const TYPES = ['Q8_0', 'Q5_1', 'Q5_0', 'Q4_1', 'Q4_0']

const WINDOW = 256

const results = fileURLToPath(new URL('results', import.meta.url))
const { gguf, text, tokens, out } = new Command('bench:gguf')
  .description("hold GGUF's types against llama.cpp's own float of the same file")
  .requiredOption('--gguf <file>', 'a model, which is written anew in each type')
  .requiredOption('--text <file>', 'prose')
  .option('--tokens <n>', 'of the text', Number, 1024)
  .option('--out <folder>', 'where to write', results)
  .parse()
  .opts<{ gguf: string; text: string; tokens: number; out: string }>()

/** npm changes the folder of this process. */
const pathOf = (path: string) => resolve(process.env.INIT_CWD ?? '.', path)

/** The distance of predictions from the reference's, over the tokens of a text. */
interface Distance {
  type: string
  subject: string
  /** Nats. */
  meanKl: number
  p99: number
  /** The share of tokens after which both predict the same as the likeliest. */
  sameBest: number
}

type Windows = AsyncGenerator<Float32Array[], void, void>

const scratch = await mkdtemp(join(tmpdir(), 'dotpool-gguf-'))
try {
  const python = makePython(scratch)
  run(python, '-m', 'pip', 'install', '--quiet', 'gguf')
  const distances: Distance[] = []
  for (const type of TYPES) distances.push(...(await measure(type, python)))
  const rows = distances.map(({ type, subject, meanKl, p99, sameBest }) => [
    type,
    subject,
    meanKl.toFixed(5),
    p99.toFixed(4),
    `${(100 * sameBest).toFixed(1)} %`,
  ])
  const table = markdownTable(
    [['weights in the file', 'computed by', 'mean KL', 'p99', 'same token'], ...rows],
    { align: ['l', 'l', 'r', 'r', 'r'] },
  )
  console.log(table)
  const report = { date: new Date().toISOString(), machine: describeMachine(), tokens, distances }
  await writeFile(join(pathOf(out), 'gguf.md'), `${table}\n`)
  await writeFile(join(pathOf(out), 'gguf.json'), `${JSON.stringify(report, null, 2)}\n`)
} finally {
  await rm(scratch, { recursive: true })
}

async function measure(type: string, python: string): Promise<Distance[]> {
  const [stored, floats] = [`${type}.gguf`, 'float32.gguf'].map((name) => join(scratch, name))
  const script = fileURLToPath(new URL('requantize.py', import.meta.url))
  run(python, script, pathOf(gguf), type, stored, floats)
  await using pool = await Pool.create()
  const models = {
    'dotpool, W8A8': await Model.load(pool, stored, { quantize: 'w8a8' }),
    'dotpool, float': await Model.load(pool, stored, { quantize: 'none' }),
  }
  const [{ tokenizer, config }] = Object.values(models)
  const encoded = tokenizer.encode(await readFile(pathOf(text), 'utf8'))
  const windows = Array.from({ length: Math.floor(tokens / WINDOW) }, (_, i) =>
    Uint32Array.from(encoded.slice(i * WINDOW, (i + 1) * WINDOW)),
  )
  const subjects: [string, Windows][] = [
    ...Object.entries(models).map(([name, model]): [string, Windows] => [
      name,
      dotpoolLogits(model, windows),
    ]),
    ['llama.cpp', llamaCppLogits(stored, windows, config.vocabSize)],
  ]
  const kls = new Map(subjects.map(([name]) => [name, { kl: [] as number[], same: 0 }]))
  for await (const expected of llamaCppLogits(floats, windows, config.vocabSize)) {
    for (const [name, logits] of subjects) {
      const tally = kls.get(name)
      const rows = (await logits.next()).value
      if (tally === undefined || !rows) throw new Error(`${name} gave fewer windows`)
      for (const [i, row] of rows.entries()) {
        const { kl, sameBest } = divergence(row, expected[i])
        tally.kl.push(kl)
        if (sameBest) tally.same++
      }
    }
  }
  await rm(stored)
  await rm(floats)
  return [...kls].map(([subject, { kl, same }]) => {
    const sorted = kl.toSorted((a, b) => a - b)
    return {
      type,
      subject,
      meanKl: kl.reduce((sum, value) => sum + value) / kl.length,
      p99: sorted[Math.ceil(0.99 * sorted.length) - 1],
      sameBest: same / kl.length,
    }
  })
}

async function* dotpoolLogits(model: Model, windows: readonly Uint32Array[]): Windows {
  const { vocabSize } = model.config
  for (const window of windows) {
    const { data } = await model.logits(window)
    yield Array.from(
      window,
      (_, i) => data.subarray(i * vocabSize, (i + 1) * vocabSize) as Float32Array,
    )
  }
}
