import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { exchange } from './exchange.js'

/*
 * Clients, well-mannered and others. Each sends a request or a few, and judges what comes.
 */

/** @import http from 'node:http' */
/** @import { Random } from '../../random.js' */
/** @import { Account } from './account.js' */
/** @import { Manners, Outcome } from './exchange.js' */
/** @import { Expected } from './oracle.js' */

/**
 * What a client may do in a round, and to whom.
 *
 * @typedef {object} ClientContext
 * @property {Random} random
 * @property {http.Agent} agent
 * @property {number} port
 * @property {Expected[]} oracle
 * @property {Account} account
 * @property {Tally} tally
 * @property {boolean} isShaken whether workers are killed, so that requests may fail
 * @property {boolean} isEnding whether the server was told to end
 */

/** The most problems that are kept. */
const MOST_PROBLEMS = 20

/** Counts what clients did, and what became of it. */
export class Tally {
  /** @type {Record<string, number>} */
  counts = {}
  /** @type {string[]} */
  problems = []

  count(/** @type {string} */ what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  fail(/** @type {string} */ problem) {
    this.count('wrong')
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(problem)
  }
}

// ---- completions -----------------------------------------------------------------------------------

/**
 * Asks for a completion, and compares all that comes with the oracle.
 *
 * @param {ClientContext} context
 * @param {Manners} manners
 */
export async function complete(context, manners = {}) {
  const { random, agent, oracle, tally } = context
  const isLong = manners.pauseMillis !== undefined || manners.leavesAfterBytes !== undefined
  const expected = random.pick(oracle.filter(({ body }) => body.max_tokens > 100 === isLong))
  const stream = isLong || random.chance(0.5)
  const options = stream ? { stream, stream_options: { include_usage: true } } : {}
  const body = JSON.stringify({ ...expected.body, ...options })
  tally.count('completions')
  const outcome = await exchange(agent, '/v1/completions', body, manners)
  judge(context, expected, outcome, stream)
}

/**
 * @param {ClientContext} context
 * @param {Expected} expected
 * @param {Outcome} outcome
 * @param {boolean} stream
 */
function judge({ account, tally, isShaken, isEnding }, expected, outcome, stream) {
  const { status, headers, text, hasLeft } = outcome
  const unfinished = (/** @type {string} */ how) => {
    account.part(expected)
    tally.count(how)
  }
  if (status === 0 || (status === 200 && hasLeft && !stream)) return unfinished('left')
  if (status === 429) {
    if (!(Number(headers['retry-after']) > 0)) tally.fail('429 without retry-after')
    checkError(tally, text, 'rate_limit_exceeded')
    return unfinished('refused by 429')
  }
  if (status === 503) {
    if (!isShaken && !isEnding) tally.fail(`503 without a cause: ${text}`)
    checkError(tally, text, 'unavailable')
    return unfinished('failed by 503')
  }
  if (status !== 200) {
    tally.fail(`${status} to ${JSON.stringify(expected.body)}: ${text}`)
    return unfinished('failed')
  }
  const answer = stream ? readStream(text) : readAnswer(JSON.parse(text))
  if (answer.error !== undefined) {
    if (!isShaken && !isEnding)
      tally.fail(`an event of an error without a cause: ${text.slice(-500)}`)
    checkError(tally, answer.error, 'unavailable')
  } else if (!answer.isWhole && !hasLeft)
    tally.fail(`a stream that does not end: ${text.slice(-500)}`)
  if (!isPartOf(answer, expected)) {
    tally.fail(`${JSON.stringify(expected.body)}: not what it must be: ${text}`)
  }
  if (!answer.isWhole) return unfinished(hasLeft ? 'left' : 'failed by an event')
  account.complete(expected)
  tally.count('answered')
}

/**
 * @typedef {{ text: string, logprobs: number[] | undefined, finish: string | null }} Choice
 * @typedef {{ choices: Choice[], usage: any, isWhole: boolean, error?: string }} Answer
 */

/** @returns {Answer} */
function readAnswer(/** @type {any} */ { choices, usage }) {
  const read = choices.map((/** @type {any} */ { text, logprobs, finish_reason: finish }) => ({
    text,
    logprobs: logprobs?.token_logprobs,
    finish,
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
    for (const { index, text, logprobs, finish_reason } of chunk.choices) {
      all[index] ??= { text: '', logprobs: undefined, finish: null }
      const choice = all[index]
      choice.text += text
      choice.finish = finish_reason ?? choice.finish
      if (logprobs !== null)
        choice.logprobs = [...(choice.logprobs ?? []), ...logprobs.token_logprobs]
    }
  }
  return { choices: all, usage, isWhole: events.at(-1) === 'data: [DONE]' }
}

/** Whether an answer is what is expected, or the beginning of that. */
export function isPartOf(
  /** @type {Answer} */ { choices, usage, isWhole },
  /** @type {Expected} */ expected,
) {
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

/** Checks an error's shape. */
function checkError(
  /** @type {Tally} */ tally,
  /** @type {string} */ text,
  /** @type {string | undefined} */ code,
) {
  try {
    const { error } = JSON.parse(text)
    const isFine = typeof error.message === 'string' && typeof error.type === 'string'
    if (isFine && (code === undefined || error.code === code)) return
  } catch {
    // told below
  }
  tally.fail(`not an error of OpenAI's shape, code ${code}: ${text}`)
}

/** Sends more at once than may wait. @param {ClientContext} context */
async function flood(context) {
  await Promise.all(Array.from({ length: context.random.integer(20, 60) }, () => complete(context)))
}

/** Leaves at any time: while it waits, in prefill, between tokens. @param {ClientContext} context */
async function leave(context) {
  const { random } = context
  const manners = random.chance(0.5)
    ? { leavesAfterMillis: random.spread(0.1, 300) }
    : { leavesAfterBytes: random.spread(1, 200_000) }
  await complete(context, manners)
}

/** Does not read for a while. @param {ClientContext} context */
async function readSlowly(context) {
  await complete(context, { pauseMillis: context.random.spread(50, 1500) })
}

// ---- other routes ----------------------------------------------------------------------------------

/** Calls a route that computes nothing. @param {ClientContext} context */
async function callOther({ random, agent, tally, isEnding }) {
  const text = 'ROMEO: what say you?'
  const messages = [{ role: 'user', content: text }]
  const [path, body] = random.pick(
    /** @type {const} */ ([
      ['/v1/models', undefined],
      ['/metrics', undefined],
      ['/openapi.json', undefined],
      ['/health', undefined],
      ['/tokenize', { prompt: text }],
      ['/tokenize', { messages }],
      ['/detokenize', { tokens: [1, 2, 3] }],
      ['/apply-template', { messages }],
    ]),
  )
  const { status } = await exchange(agent, path, body && JSON.stringify(body))
  tally.count('other routes')
  if (status !== 200 && !(isEnding && status === 503)) tally.fail(`${path}: ${status}`)
}

// ---- bodies and bytes that are wrong -----------------------------------------------------------------

/** Sends what is refused, in OpenAI's shape. @param {ClientContext} context */
async function sendWrong({ random, agent, tally, isEnding }) {
  const path = random.pick(['/v1/completions', '/v1/chat/completions', '/tokenize', '/detokenize'])
  const [body, headers, expected] = random.pick([
    [randomBytes(random.integer(1, 2000)), {}, [400]],
    ['{"prompt": "a", "max_tokens":', {}, [400]],
    [JSON.stringify({ prompt: 5, messages: 5, tokens: 'a' }), {}, [400]],
    [JSON.stringify({ prompt: 'a', unheard_of: 1 }), {}, [400]],
    [JSON.stringify({ prompt: 'a '.repeat(2000), messages: [], tokens: [-1] }), {}, [200, 400]],
    ['x'.repeat(random.integer(1 << 16, 1 << 18)), {}, [413]],
    ['a', { 'content-type': 'text/html' }, [415]],
    [JSON.stringify({}), { authorization: `Bearer ${random.pick(['', 'k', 'keys'])}` }, [401]],
    [JSON.stringify({}), { authorization: 'Basic key' }, [401]],
  ])
  const { status, text } = await exchange(agent, path, body, {}, headers)
  tally.count('wrong bodies and keys')
  if (isEnding && status === 503) return
  if (!expected.includes(status)) tally.fail(`${status} to ${path} ${body.slice(0, 200)}`)
  else if (status !== 200) checkError(tally, text, undefined)
}

/** Writes bytes that are no request, or a part of one, and leaves at some time. @param {ClientContext} context */
async function writeBytes({ random, port, tally }) {
  const head = 'POST /v1/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer key\r\n'
  const bytes = random.pick([
    randomBytes(random.integer(1, 4000)),
    '',
    'GET /',
    head,
    `${head}content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"prompt": "a`,
    `${head}transfer-encoding: chunked\r\n\r\nzz\r\n`,
    `${head}x: ${'a'.repeat(1 << 17)}\r\n\r\n`,
    `${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`,
  ])
  tally.count('half-open and garbled sockets')
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {}) // the server may close it
  socket.resume()
  socket.write(bytes)
  if (random.chance(0.3)) socket.end()
  await setTimeout(random.spread(1, 1000))
  socket.destroy()
}

/** Ways to be a client; each is chosen as often as it is listed. */
const polite = /** @type {const} */ ([
  [30, complete],
  [6, callOther],
  [2, readSlowly],
])
const rude = /** @type {const} */ ([
  [8, leave],
  [4, sendWrong],
  [3, writeBytes],
  [1, flood],
])

const repeated = (
  /** @type {readonly (readonly [number, (context: ClientContext) => Promise<void>])[]} */ kinds,
) => kinds.flatMap(([times, kind]) => Array(times).fill(kind))
const politeOnly = repeated(polite)
const all = repeated([...polite, ...rude])

/** Is a random client. @param {ClientContext} context @param {boolean} isPolite */
export async function beClient(context, isPolite) {
  const kind = context.random.pick(isPolite ? politeOnly : all)
  await kind(context)
}
