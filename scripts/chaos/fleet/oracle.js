import { Model, Pool } from 'dotpool'
import { readAnswer } from '../server/answer.js'

/*
 * What the fleet must answer: what a server answers that has the model itself, asked one at a time, without any faults.
 */

/** @import { Choice } from '../server/answer.js' */
/**
 * A request, and what its choices must be.
 *
 * @typedef {object} Expected
 * @property {string} path
 * @property {any} body
 * @property {Choice[]} choices
 * @property {number} promptTokens
 * @property {number} completionTokens
 * @property {boolean} canStream
 * @property {boolean} isLong whether it takes so long that faults meet it
 */

/** Without its types: they take the package's Model for another class than its own sources'. @type {any} */
const { createServer } = await import('@dotpool/server')

/** What the fleet calls the model. */
export const MODEL = 'toy'

const COMPLETIONS = '/v1/completions'
const CHATS = '/v1/chat/completions'
const EMBEDDINGS = '/v1/embeddings'

const verse = 'What say you to this part of mine, and to the other part that is not mine? '
const prompts = ['ROMEO:\n', `ROMEO:\n${verse}`, `First Citizen:\n${verse.repeat(8)}Now,`]

const city = {
  type: 'object',
  properties: { city: { enum: ['Rome', 'Paris', 'Verona'] }, isFair: { type: 'boolean' } },
  required: ['city', 'isFair'],
  additionalProperties: false,
}
const json = { type: 'json_schema', json_schema: { name: 'city', schema: city } }

/** Fields of a body, beside the prompt; the long ones take so long that faults meet them. */
const completions = [
  { max_tokens: 12, temperature: 0 },
  { max_tokens: 40, temperature: 1, top_p: 0.9, seed: 5 },
  { max_tokens: 30, temperature: 0.8, top_k: 20, repetition_penalty: 1.1, seed: 6, n: 3 },
  { max_tokens: 80, seed: 3, stop: ['you', 'th,'] },
  { max_tokens: 20, seed: 8, logprobs: 3 },
]
const chats = [
  { max_tokens: 30, temperature: 0 },
  { max_tokens: 30, seed: 4, n: 2, logprobs: true, top_logprobs: 2 },
  { seed: 5, response_format: json },
]
const long = [
  { max_tokens: 500, temperature: 0, ignore_eos: true, logprobs: 1 },
  { max_tokens: 400, temperature: 1, seed: 9, ignore_eos: true },
  { max_tokens: 200, temperature: 1, top_k: 50, seed: 10, ignore_eos: true, n: 2 },
  { max_tokens: 450, seed: 11, ignore_eos: true, logit_bias: { 11: -100 }, presence_penalty: 0.5 },
]

/**
 * @param {string} folder of the model
 * @returns {Promise<{ all: Expected[], meanMillis: number }>} requests, and the time that one takes this machine
 */
export async function makeOracle(folder) {
  const pool = await Pool.create({ threads: 1 })
  const model = await Model.load(pool, folder)
  const server = createServer({ models: { [MODEL]: model } })
  /** @type {{ path: string, fields: object, isLong?: boolean }[]} */
  const requests = prompts.flatMap((prompt) => {
    const messages = [{ role: 'user', content: prompt }]
    return [
      ...completions.map((fields) => ({ path: COMPLETIONS, fields: { prompt, ...fields } })),
      ...chats.map((fields) => ({ path: CHATS, fields: { messages, ...fields } })),
      {
        path: COMPLETIONS,
        fields: { prompt: [prompt, verse], max_tokens: 10, seed: 7, n: 2 },
      },
      { path: EMBEDDINGS, fields: { input: [prompt, verse], encoding_format: 'base64' } },
      ...long.map((fields) => ({ path: COMPLETIONS, fields: { prompt, ...fields }, isLong: true })),
    ]
  })
  const start = performance.now()
  const all = []
  for (const { path, fields, isLong = false } of requests) {
    const body = { model: MODEL, ...fields }
    const answer = await server.inject({ method: 'POST', url: path, payload: body })
    if (answer.statusCode !== 200) throw new Error(`the oracle fails: ${answer.payload}`)
    const { choices, usage } = readAnswer(answer.json())
    const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = usage
    const canStream = path !== EMBEDDINGS
    all.push({ path, body, choices, promptTokens, completionTokens, canStream, isLong })
  }
  const meanMillis = (performance.now() - start) / all.length
  await server.close()
  await pool.close()
  return { all, meanMillis }
}
