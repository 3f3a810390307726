import type { ServedOptions } from '../models/served-model.js'
import type { GenerationBody } from '../schemas/common.js'

/** The library's options for what a request asks for, in OpenAI's terms; temperature and top-p are 1 by default. */
export function toGenerateOptions(body: GenerationBody, choice: number): ServedOptions {
  const { stop, seed, top_k: topK, logit_bias: logitBias } = body
  return {
    stop: typeof stop === 'string' ? [stop] : (stop ?? undefined),
    ignoreEnd: body.ignore_eos ?? false,
    sampling: {
      temperature: body.temperature ?? 1,
      topP: body.top_p ?? 1,
      topK: topK == null || topK <= 0 ? undefined : topK,
      minP: body.min_p ?? undefined,
      repetitionPenalty: body.repetition_penalty ?? undefined,
      frequencyPenalty: body.frequency_penalty ?? undefined,
      presencePenalty: body.presence_penalty ?? undefined,
      logitBias: logitBias ?? undefined,
      // choices of one request are to differ
      seed: seed == null ? undefined : (seed + choice) % 2 ** 53,
    },
  }
}
