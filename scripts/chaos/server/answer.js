import { isDeepStrictEqual } from 'node:util'

/*
 * Answers of completions and of chats, whole and streamed, in the same form; and embeddings, whose texts are vectors.
 */

/**
 * @typedef {{ text: string, logprobs: number[] | undefined, finish: string | null }} Choice
 * @typedef {{ choices: Choice[], usage: any, isWhole: boolean, error?: string }} Answer
 */

/** @returns {Answer} */
export function readAnswer(/** @type {any} */ { choices, data, usage }) {
  const read = (choices ?? data).map((/** @type {any} */ choice) => ({
    text: choice.text ?? choice.message?.content ?? choice.embedding,
    logprobs: choice.logprobs ? readLogprobs(choice.logprobs) : undefined,
    finish: choice.finish_reason ?? null,
  }))
  return { choices: read, usage, isWhole: true }
}

/** Puts the events of a stream together. @returns {Answer} */
export function readStream(/** @type {string} */ text) {
  const events = text.split('\n\n').slice(0, -1)
  /** @type {Choice[]} */
  const all = []
  let usage
  for (const event of events) {
    if (event.startsWith(':') || event === 'data: [DONE]') continue
    const data = event.slice('data: '.length)
    const chunk = JSON.parse(data)
    if (chunk.error !== undefined) return { choices: all, usage, isWhole: false, error: data }
    usage = chunk.usage ?? usage
    for (const { index, text, delta, logprobs, finish_reason } of chunk.choices) {
      all[index] ??= { text: '', logprobs: undefined, finish: null }
      const choice = all[index]
      choice.text += text ?? delta.content ?? ''
      choice.finish = finish_reason ?? choice.finish
      if (logprobs) choice.logprobs = [...(choice.logprobs ?? []), ...readLogprobs(logprobs)]
    }
  }
  return { choices: all, usage, isWhole: events.at(-1) === 'data: [DONE]' }
}

/** Of a completion, or of a chat. @returns {number[]} */
function readLogprobs(/** @type {any} */ { token_logprobs: all, content }) {
  return all ?? content.map((/** @type {{ logprob: number }} */ { logprob }) => logprob)
}

/**
 * Whether an answer is what is expected, or the beginning of that.
 *
 * @param {Answer} answer
 * @param {{ choices: Choice[], promptTokens: number, completionTokens: number }} expected
 */
export function isPartOf({ choices, usage, isWhole }, expected) {
  if (isWhole) {
    const { promptTokens, completionTokens } = expected
    return (
      isDeepStrictEqual(choices, expected.choices) &&
      usage.prompt_tokens === promptTokens &&
      usage.completion_tokens === completionTokens
    )
  }
  return expected.choices.every(({ text, logprobs }, i) => {
    const { text: begun = '', logprobs: some = [] } = choices[i] ?? {}
    return text.startsWith(begun) && isDeepStrictEqual(some, logprobs?.slice(0, some.length) ?? [])
  })
}
