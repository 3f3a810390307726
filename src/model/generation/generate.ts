import { ArgumentError, checkInteger, checkSignal, describe } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { DrawJob, type LogitsProcessor } from '../decoder/jobs.js'
import type { Model } from '../model.js'
import { StopFinder } from '../text/stop-finder.js'
import { encodePrompt, isText, type Prompt, tooManyTokens } from './prompt.js'
import { Sampler, type Sampling } from './sampler.js'

export interface GenerateIdsOptions {
  /** The most ids to generate; 256 by default. The model's context may end before. */
  maxTokens?: number | undefined
  /** How ids are chosen; by default always the best. */
  sampling?: Sampling | undefined
  /** Makes the draws repeatable: an integer in [0, 2^32). */
  seed?: number | undefined
  /** Called with the logits of every step, to change them before an id is drawn. */
  processors?: readonly LogitsProcessor[] | undefined
  /** Goes on behind ids that end a text. */
  ignoreEnd?: boolean | undefined
  /** Stops the work; the next step rejects with its reason. */
  signal?: AbortSignal | undefined
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** The text ends before the first of these. */
  stop?: readonly string[] | undefined
}

const generateIdsOptions: OptionNames<GenerateIdsOptions> = {
  maxTokens: true,
  sampling: true,
  seed: true,
  processors: true,
  ignoreEnd: true,
  signal: true,
}

const generateOptions: OptionNames<GenerateOptions> = { ...generateIdsOptions, stop: true }

/**
 * Continues `ids`, one id at a time, until an id that ends a text, which is not given.
 *
 * @param argument what the caller knows the ids by
 * @throws ArgumentError at once; whatever the pool throws, at the step where it does
 */
export function generateIds(
  model: Model,
  ids: ArrayLike<number>,
  options: GenerateIdsOptions,
  argument = 'ids',
): AsyncGenerator<number, void, void> {
  checkOptions(options, generateIdsOptions)
  const { maxTokens = 256, sampling = {}, seed, processors = [], signal } = options
  checkSignal(signal)
  checkInteger('maxTokens', maxTokens, 1, Number.MAX_SAFE_INTEGER)
  checkProcessors(processors)
  model.checkIds(ids, argument)
  const room = model.maxContext - ids.length
  if (room < 1) throw tooManyTokens(argument, model.maxContext, `${ids.length}`)
  const count = Math.min(maxTokens, room)
  const sampler = new Sampler(model.pool.memory, sampling, seed, ids, ids.length + count)
  return steps(model, ids, count, sampler, options)
}

async function* steps(
  model: Model,
  ids: ArrayLike<number>,
  count: number,
  sampler: Sampler,
  { processors = [], ignoreEnd = false, signal }: GenerateIdsOptions,
): AsyncGenerator<number, void, void> {
  const sequence = model.begin(ids, ids.length + count)
  try {
    let next: ArrayLike<number> = Array.from(ids).slice(sequence.ids.length)
    for (let i = 0; i < count; i++) {
      const goesOn = i + 1 < count
      const id = await model.run(
        new DrawJob(sequence, next, sampler, { processors, goesOn, signal }),
      )
      if (!ignoreEnd && model.config.eosTokenIds.includes(id)) return
      yield id
      sampler.accept(id)
      next = [id]
    }
  } finally {
    model.end(sequence)
  }
}

/**
 * Continues a prompt as text. Each piece is whole code points; together they are the text that
 * follows the prompt's.
 *
 * @throws ArgumentError at once; at the first step where it needs the tokens of a text; whatever the pool throws,
 *   at the step where it does
 */
export function generateText(
  model: Model,
  prompt: Prompt,
  options: GenerateOptions,
): AsyncGenerator<string, void, void> {
  checkOptions(options, generateOptions)
  const { stop = [], ...others } = options
  checkStops(stop)
  const stops = new StopFinder(stop)
  if (!isText(prompt)) {
    return pieces(model, prompt, generateIds(model, prompt, others, 'prompt'), stops)
  }
  // so that wrong options are refused at once; what is not begun does nothing
  generateIds(model, [0], others)
  const tokens = encodePrompt(model, prompt, others.signal)
  tokens.catch(() => {}) // the first step throws it
  return textPieces(model, tokens, others, stops)
}

async function* textPieces(
  model: Model,
  encoding: Promise<Uint32Array>,
  options: GenerateIdsOptions,
  stops: StopFinder,
): AsyncGenerator<string, void, void> {
  const tokens = await encoding
  yield* pieces(model, tokens, generateIds(model, tokens, options, 'prompt'), stops)
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

function checkProcessors(processors: readonly LogitsProcessor[]): void {
  if (!Array.isArray(processors) || processors.some((process) => typeof process !== 'function')) {
    throw new ArgumentError('processors', 'an array of functions', describe(processors))
  }
}

/** Half a surrogate pair would split a code point. */
function checkStops(stops: readonly string[]): void {
  if (!Array.isArray(stops)) throw new ArgumentError('stop', 'an array', describe(stops))
  for (const stop of stops) {
    if (typeof stop !== 'string' || stop === '' || /\p{Surrogate}/u.test(stop)) {
      throw new ArgumentError('stop', 'non-empty, well-formed strings', describe(stop))
    }
  }
}
