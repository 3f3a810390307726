import { join } from 'node:path'
import { type LoadOptions, Model, Pool } from '../../../../dist/src/index.js'
import { version } from '../../../../dist/src/version.js'
import { type Contender, pathOf, type Session } from '../contender.js'

/** This library. */
export const dotpool = contender('dotpool', 'w8a8')

/** The same without outliers, to show their cost. */
export const dotpoolWithoutOutliers = contender('dotpool, no outliers', 'w8a8', { outliers: 0 })

export const dotpoolW4A8 = contender('dotpool, W4A8', 'w4a8')
/** Its head has other numbers than those of the rest, the nearest that four bits hold. */
export const dotpoolW4A8Int4Head: Contender = {
  ...contender('dotpool, W4A8, head in int4', 'w4a8-int4-head'),
  headBits: 4,
}
export const dotpoolW8A8 = contender('dotpool, W8A8', 'w8a8')

function contender(
  name: string,
  format: 'w8a8' | 'w4a8' | 'w4a8-int4-head',
  options: LoadOptions = {},
): Contender {
  return {
    name,
    version,
    weights: (files) => {
      const path = pathOf(files, format)
      return path.endsWith('.gguf') ? path : join(path, 'model.safetensors')
    },
    start: async (threads) => {
      const pool = await Pool.create({ threads })
      return {
        load: async (files) => {
          const model = await Model.load(pool, pathOf(files, format), {
            ...options,
            quantize: format === 'w8a8' ? 'w8a8' : 'w4a8',
          })
          return { open: async () => openSession(model) }
        },
      }
    },
  }
}

/**
 * Every turn is a request of its own, which ends with it: one that went on would sample ahead of whoever reads it. The
 * keys and values of what came before are in the prefix cache, but for a part of a page, which is not timed.
 */
function openSession(model: Model): Session {
  let sequences: number[][] = []
  const decode = async (steps: number) => {
    const times = await Promise.all(sequences.map((tokens) => extend(model, tokens, steps)))
    return times[0].map((_, step) => Math.max(...times.map((each) => each[step])))
  }
  return {
    prefill: async (prompts) => {
      sequences = prompts.map((prompt) => [...prompt])
      await decode(1)
      return sequences.map((tokens) => tokens[tokens.length - 1])
    },
    decode,
    close: async () => {
      sequences = []
    },
  }
}

/** Appends tokens to a sequence, and tells when each was there. */
async function extend(model: Model, tokens: number[], maxTokens: number): Promise<number[]> {
  const times: number[] = []
  for await (const token of model.generateTokens(tokens, { maxTokens, ignoreEnd: true })) {
    times.push(performance.now())
    tokens.push(token)
  }
  return times
}
