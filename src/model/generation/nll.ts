import { ArgumentError, checkCallback, checkInteger, checkSignal } from '../../errors.js'
import { checkOptions, type OptionNames } from '../../options.js'
import type { Decoder } from '../decoder/decoder.js'

export interface NllOptions {
  /** Tokens per window. 256 by default, or the context where that is shorter. */
  window?: number | undefined
  /** Stops the work; the call rejects with its reason. */
  signal?: AbortSignal | undefined
  /** Called after each window with the windows that are done, and all of them. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

const nllOptions: OptionNames<NllOptions> = {
  window: true,
  signal: checkSignal,
  onProgress: checkCallback,
}

/**
 * mean over predictions of -log softmax(logits)[next token], in nats: how surprised the model is by
 * the tokens, cut into windows without overlap, where the first id of each predicts the second, and so on.
 * An incomplete last window is left out, unless it is the only one.
 *
 * @throws ArgumentError
 */
export async function meanNll(
  decoder: Decoder,
  tokens: ArrayLike<number>,
  options: NllOptions,
): Promise<number> {
  const { window, signal, onProgress } = checkOptions(options, nllOptions)
  const windows = cutWindows(decoder.copyTokens(tokens), decoder.maxContext, window)
  let sum = 0
  let predicted = 0
  for (const [w, slice] of windows.entries()) {
    sum += await decoder.score(slice, signal)
    predicted += slice.length - 1
    onProgress?.(w + 1, windows.length)
  }
  return sum / predicted
}

/**
 * Cuts a text into windows without overlap. An incomplete last one is left out, unless it is the only one.
 *
 * @param window tokens in each; 256 by default, or the context where that is shorter
 * @param argument what the caller knows them by
 * @throws ArgumentError
 */
export function cutWindows(
  tokens: Uint32Array,
  maxContext: number,
  window: number | undefined,
  argument = 'tokens',
): Uint32Array[] {
  if (window !== undefined) checkInteger('window', window, 2, maxContext)
  if (tokens.length < 2) {
    throw new ArgumentError(argument, 'at least 2, to predict one', `${tokens.length}`)
  }
  const size = Math.min(window ?? 256, maxContext, tokens.length)
  return Array.from({ length: Math.floor(tokens.length / size) }, (_, w) =>
    tokens.subarray(w * size, (w + 1) * size),
  )
}
