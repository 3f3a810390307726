import { Model, Pool } from 'dotpool'
import { folder } from '../oracle.js'
import { settings } from './settings.js'

/*
 * What the server must answer: texts as the library computes them, one at a time, without any faults.
 */

/**
 * A body of a completion, and what its choices must be.
 *
 * @typedef {object} Expected
 * @property {{ prompt: string, max_tokens: number, n: number, logprobs?: number, [field: string]: unknown }} body
 * @property {{ text: string, logprobs: number[] | undefined, finish: string }[]} choices
 * @property {number} promptTokens
 * @property {number} completionTokens
 */

const verse = 'What say you to this part of mine, and to the other part that is not mine? '
const prompts = ['ROMEO:\n', `ROMEO:\n${verse}`, `ROMEO:\n${verse}${verse}Now,`, 'First Citizen:\n']

/** By the fields of a body. */
const samplings = [
  { temperature: 0 },
  { temperature: 1, top_p: 0.9, seed: 5 },
  { temperature: 0.8, top_k: 20, repetition_penalty: 1.1, seed: 6 },
]

/** Tokens of most answers, and of a few. */
const SHORT = 12
const LONG = 150

/** @returns {Promise<Expected[]>} */
export async function makeOracle() {
  const pool = await Pool.create({ threads: 1 })
  const model = await Model.load(pool, folder, { maxContext: settings.maxContext })
  const all = []
  for (const prompt of prompts) {
    for (const [i, sampling] of samplings.entries()) {
      const body = { prompt, max_tokens: SHORT, n: 1 + i, ...sampling }
      all.push(await expect(model, body))
    }
    all.push(await expect(model, { prompt, max_tokens: SHORT, n: 1, temperature: 0, logprobs: 3 }))
  }
  const long = { max_tokens: LONG, n: 1, temperature: 0, ignore_eos: true, logprobs: 20 }
  for (const prompt of prompts.slice(0, 2)) all.push(await expect(model, { prompt, ...long }))
  await pool.close()
  return all
}

/**
 * @param {Model} model
 * @param {Expected['body'] & { temperature: number, top_p?: number, top_k?: number, repetition_penalty?: number, seed?: number, ignore_eos?: boolean }} body
 * @returns {Promise<Expected>}
 */
async function expect(model, body) {
  const { prompt, max_tokens: maxTokens, n, logprobs, ignore_eos: ignoreEnd, seed } = body
  const results = []
  for (let i = 0; i < n; i++) {
    const sampling = {
      temperature: body.temperature,
      topP: body.top_p,
      topK: body.top_k,
      repetitionPenalty: body.repetition_penalty,
      seed: seed === undefined ? undefined : seed + i,
    }
    results.push(await model.generate(prompt, { maxTokens, sampling, logprobs, ignoreEnd }).result)
  }
  return {
    body,
    choices: results.map(({ text, logprobs, finishReason }) => ({
      text,
      logprobs: logprobs?.map(({ logprob }) => logprob),
      finish: finishReason,
    })),
    promptTokens: results[0].usage.promptTokens,
    completionTokens: results.reduce((sum, { usage }) => sum + usage.completionTokens, 0),
  }
}
