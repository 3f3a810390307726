import { checkBoolean, checkInteger, checkSignal, copyArray } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import { DrawJob, type LogitsProcessor } from '../decoder/jobs.js'
import type { Sequence } from '../decoder/sequence.js'
import type { Model } from '../model.js'
import { StopFinder } from '../text/stop-finder.js'
import { encodePrompt, isText, type Prompt, tooManyTokens } from './prompt.js'
import { copySampling, Sampler, type Sampling } from './sampler.js'

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
  ignoreEnd: checkBoolean,
  signal: checkSignal,
}

const generateOptions: OptionNames<GenerateOptions> = { ...generateIdsOptions, stop: true }

/**
 * Continues `ids`, one id at a time, until an id that ends a text, which is not given.
 *
 * @throws ArgumentError at once; whatever the pool throws, at the step where it does
 */
export function generateIds(
  model: Model,
  ids: ArrayLike<number>,
  options: GenerateIdsOptions,
): AsyncGenerator<number, void, void> {
  const settings = readSettings(checkOptions(options, generateIdsOptions))
  return continueTokens(model, model.copyTokens(ids), settings, 'ids')
}

/** Options of a call, checked and copied: the caller may change theirs before the tokens of a text are known. */
interface Settings {
  maxTokens: number
  sampling: Sampling
  seed: number | undefined
  processors: readonly LogitsProcessor[]
  ignoreEnd: boolean
  signal: AbortSignal | undefined
}

function readSettings(options: GenerateIdsOptions): Settings {
  const { maxTokens = 256, sampling = {}, seed, processors, ignoreEnd = false, signal } = options
  checkInteger('maxTokens', maxTokens, 1, Number.MAX_SAFE_INTEGER)
  return {
    maxTokens,
    sampling: copySampling(sampling, seed),
    seed,
    processors: copyProcessors(processors),
    ignoreEnd,
    signal,
  }
}

/** @param argument what the caller knows the tokens by */
function continueTokens(
  model: Model,
  tokens: Uint32Array,
  settings: Settings,
  argument: string,
): AsyncGenerator<number, void, void> {
  const { maxTokens, sampling, seed } = settings
  const { length } = tokens
  const room = model.maxContext - length
  if (room < 1) throw tooManyTokens(argument, model.maxContext, `${length}`)
  const count = Math.min(maxTokens, room)
  const sampler = new Sampler(model.pool.memory, sampling, seed, tokens, length + count)
  const run: Run = { model, sequence: undefined }
  const generator = steps(run, tokens, count, sampler, settings)
  abandoned.register(generator, run)
  return generator
}

/** What an iterator has under way. */
interface Run {
  readonly model: Model
  sequence: Sequence | undefined
}

/** Ends the sequences of iterators that nobody can ask for more, though they were not ended either. */
const abandoned = new FinalizationRegistry<Run>(({ model, sequence }) => {
  if (sequence !== undefined) model.end(sequence)
})

async function* steps(
  run: Run,
  tokens: Uint32Array,
  count: number,
  sampler: Sampler,
  { processors, ignoreEnd, signal }: Settings,
): AsyncGenerator<number, void, void> {
  const { model } = run
  const sequence = model.begin(tokens, tokens.length + count)
  run.sequence = sequence
  try {
    let next: ArrayLike<number> = tokens.subarray(sequence.ids.length)
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
  const { stop, ...others } = checkOptions(options, generateOptions)
  const stops = new StopFinder(copyStops(stop))
  const settings = readSettings(others)
  if (!isText(prompt)) {
    const tokens = model.copyTokens(prompt, 'prompt')
    return pieces(model, tokens, continueTokens(model, tokens, settings, 'prompt'), stops)
  }
  const encoding = encodePrompt(model, prompt, settings.signal)
  encoding.catch(() => {}) // the first step throws it
  return textPieces(model, encoding, settings, stops)
}

async function* textPieces(
  model: Model,
  encoding: Promise<Uint32Array>,
  settings: Settings,
  stops: StopFinder,
): AsyncGenerator<string, void, void> {
  const tokens = model.copyTokens(await encoding, 'prompt')
  yield* pieces(model, tokens, continueTokens(model, tokens, settings, 'prompt'), stops)
}

async function* pieces(
  model: Model,
  prompt: Uint32Array,
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

function copyProcessors(processors: readonly LogitsProcessor[] = []): LogitsProcessor[] {
  return copyArray('processors', processors, 'functions', (item) => typeof item === 'function')
}

function copyStops(stops: readonly string[] = []): string[] {
  // half a surrogate pair would split a code point
  return copyArray('stop', stops, 'non-empty, well-formed strings', (stop) => {
    return typeof stop === 'string' && stop !== '' && !/\p{Surrogate}/u.test(stop)
  })
}
