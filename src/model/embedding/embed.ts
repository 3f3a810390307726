import { whenAborted } from '../../abort.js'
import { ArgumentError, checkInteger, checkSignal, describe } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import type { Decoder } from '../decoder/decoder.js'
import { HiddenStateRequest } from '../decoder/result-request.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { toUnitVector } from './unit-vector.js'

export interface EmbedOptions {
  /**
   * The first elements only, which are scaled to length 1 by themselves: for models that are trained for it. All of
   * the hidden state by default.
   */
  dimensions?: number | undefined
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
}

const embedOptions: OptionNames<EmbedOptions> = { dimensions: true, signal: checkSignal }

/** A decoder, and what makes tokens of texts. */
export interface TextDecoder {
  readonly decoder: Decoder
  /** Throws an ArgumentError where there is none. */
  readonly tokenizer: Tokenizer
}

/**
 * The embeddings of texts: of each the hidden state of its last token, scaled to length 1.
 *
 * @param texts or their tokens
 * @throws ArgumentError, and what requests fail with
 */
export async function embedTexts(
  model: TextDecoder,
  texts: readonly (string | ArrayLike<number>)[],
  options: EmbedOptions,
): Promise<Float32Array<ArrayBuffer>[]> {
  const { decoder } = model
  const { hiddenSize } = decoder.config
  const { dimensions = hiddenSize, signal } = checkOptions(options, embedOptions)
  checkInteger('dimensions', dimensions, 1, hiddenSize)
  const copies = copyTexts(decoder, texts)
  // all end where one fails
  const call = new AbortController()
  const stopListening = whenAborted(signal, (reason) => call.abort(reason))
  if (signal?.aborted) call.abort(signal.reason)
  const states: Promise<Float32Array>[] = []
  try {
    for (const [i, text] of copies.entries()) {
      const tokens = typeof text === 'string' ? await encode(model, i, text, call.signal) : text
      call.signal.throwIfAborted()
      const request = new HiddenStateRequest(tokens, call.signal, call)
      states.push(request.result)
      request.result.catch((error) => call.abort(error))
      // one of a call's texts waits in the queue at a time
      await submit(decoder, request)
    }
    return (await Promise.all(states)).map((state) => toUnitVector(state, dimensions))
  } catch (error) {
    call.abort(error)
    throw call.signal.reason
  } finally {
    stopListening()
  }
}

/** Resolves when the request is admitted, or has ended. */
async function submit(decoder: Decoder, request: HiddenStateRequest): Promise<void> {
  const admitted = new Promise<void>((resolve) => {
    request.onAdmit = resolve
  })
  decoder.submit(request)
  await Promise.race([admitted, request.result.catch(() => {})])
}

/** The caller may change theirs as soon as the call has returned. */
function copyTexts(
  decoder: Decoder,
  texts: readonly (string | ArrayLike<number>)[],
): (string | Uint32Array)[] {
  decoder.check()
  if (!Array.isArray(texts)) {
    throw new ArgumentError('texts', 'an array of texts, or of their tokens', describe(texts))
  }
  return texts.map((text: string | ArrayLike<number>, i) => {
    return typeof text === 'string' ? text : copyTokens(decoder, i, text)
  })
}

async function encode(
  { decoder, tokenizer }: TextDecoder,
  i: number,
  text: string,
  signal: AbortSignal,
): Promise<Uint32Array> {
  // tokenising what is too long anyway would keep others waiting
  const least = tokenizer.leastTokens(text)
  if (least > decoder.maxContext) throw tooLong(decoder, i, `at least ${least}`)
  return copyTokens(decoder, i, await tokenizer.encodeAsync(text, { signal }))
}

function copyTokens(decoder: Decoder, i: number, tokens: ArrayLike<number>): Uint32Array {
  const copy = decoder.copyTokens(tokens, `texts[${i}]`)
  if (copy.length > decoder.maxContext) throw tooLong(decoder, i, `${copy.length}`)
  return copy
}

function tooLong({ maxContext }: Decoder, i: number, got: string): ArgumentError {
  return new ArgumentError(`texts[${i}]`, `at most ${maxContext} tokens, the context`, got)
}
