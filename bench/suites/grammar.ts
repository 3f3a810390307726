import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GenerateTokensOptions, Model, type ResponseFormat } from '../../src/index.js'
import { summarize } from '../../src/measure/samples.js'
import { synthesize } from '../models/huggingface.js'
import { randomTokenizer } from '../models/random-tokenizer.js'
import { modelShapes } from '../models/shapes.js'
import type { Line, Suite } from '../suite.js'

const [shape] = modelShapes
const TEXTS = 8
const TOKENS = 32
const ROUNDS = 6

/** A list that goes on for longer than the texts, of all kinds of values. */
const responseFormat: ResponseFormat = {
  type: 'json_schema',
  schema: {
    type: 'array',
    minItems: TOKENS,
    items: {
      type: 'object',
      properties: {
        name: { type: 'string', minLength: 1 },
        code: { type: 'string', maxLength: 40 },
        size: { type: 'number', minimum: 0, maximum: 100 },
        kind: { enum: ['small', 'medium', 'large'] },
      },
      required: ['name', 'code', 'size', 'kind'],
    },
  },
}

export const grammar: Suite = {
  name: 'grammar',
  title: `${TEXTS} texts at once of a model like ${shape.name}, of which some follow a JSON schema: time of a token`,
  async *run({ pool }) {
    const folder = await mkdtemp(join(tmpdir(), 'dotpool-'))
    try {
      await synthesize(shape, folder, 'w8a8', { seed: 1, bits: 8 })
      const tokenizer = JSON.stringify(randomTokenizer(shape.vocabSize))
      await writeFile(join(folder, 'tokenizer.json'), tokenizer)
      using model = await Model.load(pool, folder, { maxContext: 1024 })
      yield* measure(model)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

/** The three by turns, for other users of a machine slow it down for a while. */
async function* measure(model: Model): AsyncGenerator<Line> {
  const base: number[] = []
  const ratios: Record<string, number[]> = {
    'those without, beside as many with one': [],
    'those with one, beside as many without': [],
    'all with one': [],
  }
  for (let round = -1; round < ROUNDS; round++) {
    const none = await time(model, round, 0)
    const half = await time(model, round, TEXTS / 2)
    const all = await time(model, round, TEXTS)
    // the first compiles the grammar, and makes the thread's code fast
    if (round < 0) continue
    base.push(none.without)
    const times = [half.without, half.with, all.with]
    for (const [i, list] of Object.values(ratios).entries()) list.push(times[i] / none.without)
  }
  yield { name: 'none with a grammar', unit: 'us', measured: summarize(base) }
  for (const [name, list] of Object.entries(ratios)) {
    yield { name, unit: 'x', measured: summarize(list) }
  }
}

/** The time of a token of texts with a grammar, and of those without, microseconds. */
async function time(
  model: Model,
  round: number,
  constrained: number,
): Promise<{ with: number; without: number }> {
  const texts = Array.from({ length: TEXTS }, (_, i) => {
    const sampling = { temperature: 1, seed: TEXTS * (round + 1) + i }
    const format = i < constrained ? { responseFormat } : { ignoreEnd: true }
    return timeText(model, { ...format, sampling, maxTokens: TOKENS })
  })
  const micros = await Promise.all(texts)
  const mean = (list: number[]) => list.reduce((sum, each) => sum + each, 0) / list.length
  return { with: mean(micros.slice(0, constrained)), without: mean(micros.slice(constrained)) }
}

/** From its first token to its last. */
async function timeText(model: Model, options: GenerateTokensOptions): Promise<number> {
  let [first, last, count] = [0, 0, 0]
  for await (const _ of model.generateTokens([1, 2, 3], options)) {
    last = performance.now()
    if (count++ === 0) first = last
  }
  return ((last - first) * 1000) / (count - 1)
}
