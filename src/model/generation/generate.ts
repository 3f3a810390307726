import {
  ArgumentError,
  checkBoolean,
  checkInteger,
  checkList,
  checkSignal,
  copyArray,
  describe,
} from '../../errors.js'
import { type LogProbOptions, MAX_CANDIDATES } from '../../ops/sample-rows.js'
import { checkOptions, type OptionNames } from '../../options.js'
import type { Decoder } from '../decoder/decoder.js'
import { GenerateRequest, type LogitsProcessor } from '../decoder/generate-request.js'
import { copyResponseFormat, type ResponseFormat } from '../grammar/response-format.js'
import type { GrammarText } from '../grammar/thread/grammar-text.js'
import type { GrammarThread } from '../grammar/thread/grammar-thread.js'
import { StopFinder } from '../text/stop-finder.js'
import type { TemplateInputs } from '../text/template-inputs.js'
import { Generation, tokensOf } from './generation.js'
import {
  encodePrompt,
  isText,
  type Prompt,
  type PromptEncoder,
  refuseTemplateInputs,
  tooManyTokens,
} from './prompt.js'
import { type Detokenizer, Run, type Start } from './run.js'
import { copySampling, type Sampling, TokenSampler } from './sampler.js'

export interface GenerateTokensOptions {
  /** The most tokens to generate; 256 by default. The model's context may end before. */
  maxTokens?: number | undefined
  /** How tokens are sampled; by default always the likeliest is taken. */
  sampling?: Sampling | undefined
  /** Called with the logits of every step, to change them before a token is sampled. */
  processors?: readonly LogitsProcessor[] | undefined
  /** Goes on behind tokens that end a text. */
  ignoreEnd?: boolean | undefined
  /**
   * What the text is to look like: only tokens are sampled that keep it so, and it ends only where it is complete, or
   * where `maxTokens` or the context cut it off. Log probabilities are those without it.
   */
  responseFormat?: ResponseFormat | undefined
  /**
   * Tokens that a call with the same prompt, options and seed has given before it was broken off, on this machine or
   * another: the text goes on behind them with the tokens that it would have had. They are computed like a prompt, all at
   * once, and not given again; the result has them.
   */
  resumeAfter?: ArrayLike<number> | undefined
  /** Stops the work; the next read rejects with its reason. */
  signal?: AbortSignal | undefined
  /**
   * Any object, the same for calls that belong together, such as several answers to one prompt: `maxQueuedTokens` takes
   * all of them, or none.
   */
  group?: object | undefined
}

export interface GenerateOptions extends GenerateTokensOptions, TemplateInputs {
  /** The text ends before the first of these. */
  stop?: readonly string[] | undefined
  /**
   * Tells how likely each token was, and so many of the likeliest ones: 0 to 20. Before any sampling parameter, but
   * after `processors`.
   */
  logprobs?: number | undefined
}

const generateTokensOptions: OptionNames<GenerateTokensOptions> = {
  maxTokens: true,
  sampling: true,
  processors: true,
  ignoreEnd: checkBoolean,
  responseFormat: true,
  resumeAfter: true,
  signal: checkSignal,
  group: (name, value) => {
    const isObject = typeof value === 'object' && value !== null
    if (value !== undefined && !isObject)
      throw new ArgumentError(name, 'an object', describe(value))
  },
}

const generateOptions: OptionNames<GenerateOptions> = {
  ...generateTokensOptions,
  stop: true,
  tools: true,
  templateOptions: true,
  logprobs: (name, value) => {
    if (value !== undefined) checkInteger(name, value, 0, MAX_CANDIDATES)
  },
}

/** A decoder that texts go into and come out of. */
export interface TextDecoder extends PromptEncoder, ConstrainedDecoder {}

/** A decoder of tokens that may follow a grammar. */
export interface ConstrainedDecoder {
  readonly decoder: Decoder
  /** Throws an ArgumentError where there is no tokenizer. */
  readonly grammars: GrammarThread
}

/**
 * Continues a prompt as text.
 *
 * @throws ArgumentError at once; the run rejects with what is found later
 */
export function generateText(
  model: TextDecoder,
  prompt: Prompt,
  options: GenerateOptions,
): Generation {
  const { decoder } = model
  const { stop, logprobs, tools, templateOptions, ...others } = checkOptions(
    options,
    generateOptions,
  )
  const stops = copyStops(stop)
  const settings = readSettings(model, others)
  const { signal } = settings
  const encoding = encode(model, prompt, signal, { tools, templateOptions })
  const start: Start = async (run) => {
    const tokens = await encoding
    const detokenizer: Detokenizer = {
      stream: model.tokenizer.stream(tokens),
      stops: new StopFinder(stops),
    }
    await startRequest(model, tokens, settings, { run, detokenizer, logprobs })
  }
  return new Generation(new Run(start, () => decoder.wake(), signal))
}

/**
 * Continues tokens, until one that ends a text, which is not given.
 *
 * @throws ArgumentError at once; whatever the pool throws, at the step where it does
 */
export function generateTokens(
  model: ConstrainedDecoder,
  prompt: ArrayLike<number>,
  options: GenerateTokensOptions,
): AsyncGenerator<number, void, void> {
  const { decoder } = model
  const settings = readSettings(model, checkOptions(options, generateTokensOptions))
  const tokens = copyPrompt(decoder, prompt, 'tokens')
  const start: Start = async (run) => {
    await startRequest(model, tokens, settings, { run })
  }
  return tokensOf(new Run(start, () => decoder.wake(), settings.signal))
}

/** Options of a call, checked and copied: the caller may change theirs before the tokens of a text are known. */
interface Settings {
  maxTokens: number
  sampling: Sampling
  processors: readonly LogitsProcessor[]
  ignoreEnd: boolean
  responseFormat: ResponseFormat | undefined
  resumeAfter: Uint32Array
  signal: AbortSignal | undefined
  group: object | undefined
}

function readSettings(model: ConstrainedDecoder, options: GenerateTokensOptions): Settings {
  const { maxTokens = 256, sampling = {}, processors, ignoreEnd = false, signal, group } = options
  const { config } = model.decoder
  checkInteger('maxTokens', maxTokens, 1, Number.MAX_SAFE_INTEGER)
  const { resumeAfter = [] } = options
  const responseFormat = copyResponseFormat(options.responseFormat)
  if (responseFormat !== undefined) checkCanConstrain(model.grammars, ignoreEnd)
  return {
    maxTokens,
    sampling: copySampling(sampling, config.vocabSize),
    processors: copyProcessors(processors),
    ignoreEnd,
    responseFormat,
    resumeAfter: copyResumed(model.decoder, resumeAfter, maxTokens),
    signal,
    group,
  }
}

function copyResumed(decoder: Decoder, tokens: ArrayLike<number>, maxTokens: number): Uint32Array {
  const length = checkList('resumeAfter', tokens, 'an array of token ids')
  if (length === 0) return new Uint32Array(0)
  const copy = decoder.copyTokens(tokens, 'resumeAfter')
  if (copy.length <= maxTokens) return copy
  throw new ArgumentError('resumeAfter', `at most maxTokens tokens, ${maxTokens}`, `${copy.length}`)
}

/** A text that follows a grammar ends by a token that says so. */
function checkCanConstrain(grammars: GrammarThread, ignoreEnd: boolean): void {
  if (ignoreEnd) {
    throw new ArgumentError(
      'ignoreEnd',
      'false beside responseFormat, which says where to end',
      'true',
    )
  }
  if (grammars.canEnd) return
  const expected = 'a model whose config.json names an eos_token_id, to end with'
  throw new ArgumentError('responseFormat', expected, 'one without')
}

/** The tokens of a prompt. Those of a text come later; a promise that rejects is first looked at by the run. */
function encode(
  model: TextDecoder,
  prompt: Prompt,
  signal: AbortSignal | undefined,
  inputs: TemplateInputs,
): Uint32Array | Promise<Uint32Array> {
  const { decoder } = model
  if (!isText(prompt)) {
    refuseTemplateInputs(inputs)
    return copyPrompt(decoder, prompt, 'prompt')
  }
  const encoding = encodePrompt(model, prompt, signal, inputs).then((tokens) => {
    return copyPrompt(decoder, tokens, 'prompt')
  })
  encoding.catch(() => {})
  return encoding
}

/** @param argument what the caller knows the tokens by */
function copyPrompt(decoder: Decoder, prompt: ArrayLike<number>, argument: string): Uint32Array {
  const tokens = decoder.copyTokens(prompt, argument)
  const { maxContext } = decoder
  if (tokens.length >= maxContext) throw tooManyTokens(argument, maxContext, `${tokens.length}`)
  return tokens
}

/** Where tokens go, and what is told of them. */
interface Output {
  readonly run: Run
  readonly detokenizer?: Detokenizer
  readonly logprobs?: number | undefined
}

/** Has a thread follow the text first, if that is to have a format. */
async function startRequest(
  model: ConstrainedDecoder,
  prompt: Uint32Array,
  settings: Settings,
  output: Output,
): Promise<void> {
  const { decoder } = model
  const { responseFormat: format, signal } = settings
  if (format === undefined) return submitRequest(decoder, prompt, settings, output, undefined)
  const text = await model.grammars.open(format, prompt.length, signal)
  try {
    submitRequest(decoder, prompt, settings, output, text)
  } catch (error) {
    text.close()
    throw error
  }
}

function submitRequest(
  decoder: Decoder,
  prompt: Uint32Array,
  { maxTokens, sampling, processors, ignoreEnd, resumeAfter, signal, group }: Settings,
  { run, detokenizer, logprobs }: Output,
  constraint: GrammarText | undefined,
): void {
  const { pool, maxContext, config } = decoder
  const { memory } = pool
  const capacity = Math.min(prompt.length + maxTokens, maxContext)
  const logProbs: LogProbOptions | undefined =
    logprobs === undefined
      ? undefined
      : { count: logprobs, copy: memory.array('float32', config.vocabSize) }
  const request = new GenerateRequest(prompt, {
    sampler: new TokenSampler(memory, sampling, prompt, capacity, logProbs),
    sink: run,
    processors,
    constraint,
    maxTokens,
    maxContext,
    endTokens: ignoreEnd ? [] : config.eosTokenIds,
    signal,
    group,
  })
  constraint?.listen({
    onReady: () => decoder.wake(),
    onFail: (error) => request.fail(error),
  })
  run.attach(request, detokenizer)
  request.replay(resumeAfter)
  decoder.submit(request)
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
