import { join } from 'node:path'
import { type LoadOptions, Model, Pool } from '../../../../dist/src/index.js'
import { version } from '../../../../dist/src/package.js'
import type { Contender, Session } from '../contender.js'

/** This library. */
export const dotpool = contender('dotpool')

/** The same without outliers, to show their cost. */
export const dotpoolWithoutOutliers = contender('dotpool, no outliers', { outliers: 0 })

function contender(name: string, options: LoadOptions = {}): Contender {
  return {
    name,
    version,
    weights: ({ folder }) => {
      return folder.endsWith('.gguf') ? folder : join(folder, 'model.safetensors')
    },
    start: async (threads) => {
      const pool = await Pool.create({ threads })
      return {
        load: async ({ folder }) => {
          const model = await Model.load(pool, folder, { ...options, quantize: 'w8a8' })
          return { open: async (_, length) => openSession(model, length) }
        },
      }
    },
  }
}

function openSession(model: Model, length: number): Session {
  let texts: AsyncGenerator<number>[] = []
  const decode = () => Promise.all(texts.map(nextToken))
  const close = async () => {
    for (const text of texts) await text.return(undefined)
    texts = []
  }
  return {
    prefill: async (prompts) => {
      await close()
      texts = prompts.map((prompt) =>
        model.generateTokens(prompt, { maxTokens: length - prompt.length, ignoreEnd: true }),
      )
      return decode()
    },
    decode,
    close,
  }
}

async function nextToken(sequence: AsyncGenerator<number>): Promise<number> {
  const { value, done } = await sequence.next()
  if (done) throw new Error('dotpool ended a sequence before it had all its tokens')
  return value
}
