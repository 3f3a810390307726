import { ArgumentError, checkInteger, describe } from '../errors.js'
import type { Model } from './model.js'
import { Sampler, type SamplerOptions } from './sampler.js'
import { StopFinder } from './stop-finder.js'

export interface GenerateIdsOptions extends SamplerOptions {
  /** The most ids to generate; 256 by default. The model's context may end before. */
  maxTokens?: number | undefined
  /** Stops the work; the next step rejects with its reason. */
  signal?: AbortSignal | undefined
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** The text ends before the first of these. */
  stop?: readonly string[] | undefined
}

/**
 * Continues `ids`, one id at a time, until an id that ends a text, which is not given.
 *
 * @throws ArgumentError at once; whatever the model throws, at the step where it does
 */
export function generateIds(
  model: Model,
  ids: ArrayLike<number>,
  { maxTokens = 256, signal, ...sampling }: GenerateIdsOptions,
): AsyncGenerator<number, void, void> {
  checkInteger('maxTokens', maxTokens, 1, Number.MAX_SAFE_INTEGER)
  model.checkIds(ids)
  const room = model.config.maxPositionEmbeddings - ids.length
  if (room < 1) {
    const most = model.config.maxPositionEmbeddings - 1
    throw new ArgumentError('ids', `at most ${most}, to leave room for one more`, `${ids.length}`)
  }
  return steps(model, ids, Math.min(maxTokens, room), new Sampler(sampling), signal)
}

async function* steps(
  model: Model,
  ids: ArrayLike<number>,
  count: number,
  sampler: Sampler,
  signal: AbortSignal | undefined,
): AsyncGenerator<number, void, void> {
  const cache = model.createCache(ids.length + count)
  let next = ids
  for (let i = 0; i < count; i++) {
    signal?.throwIfAborted()
    const id = sampler.pick(await model.forward(next, cache, { signal }))
    if (model.config.eosTokenIds.includes(id)) return
    yield id
    next = [id]
  }
}

/**
 * Continues a prompt as text. Each piece is whole code points; together they are the text that
 * follows the prompt's.
 *
 * @throws ArgumentError at once; whatever the model throws, at the step where it does
 */
export function generateText(
  model: Model,
  prompt: string | ArrayLike<number>,
  { stop = [], ...options }: GenerateOptions,
): AsyncGenerator<string, void, void> {
  checkStops(stop)
  const ids = typeof prompt === 'string' ? model.tokenizer.encode(prompt) : prompt
  return pieces(model, ids, generateIds(model, ids, options), new StopFinder(stop))
}

async function* pieces(
  model: Model,
  prompt: ArrayLike<number>,
  ids: AsyncGenerator<number, void, void>,
  stops: StopFinder,
): AsyncGenerator<string, void, void> {
  const stream = model.tokenizer.stream(prompt)
  for await (const id of ids) {
    const piece = stops.push(stream.push(id))
    if (piece !== '') yield piece
    if (stops.found) return
  }
  const rest = stops.push(stream.end()) + stops.end()
  if (rest !== '') yield rest
}

/** Half a surrogate pair would split a code point. */
function checkStops(stops: readonly string[]): void {
  for (const stop of stops) {
    if (typeof stop !== 'string' || stop === '' || /\p{Surrogate}/u.test(stop)) {
      throw new ArgumentError('stop', 'non-empty, well-formed strings', describe(stop))
    }
  }
}
