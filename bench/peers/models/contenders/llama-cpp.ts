import {
  getLlama,
  getModuleVersion,
  type LlamaContext,
  type LlamaContextSequence,
  LlamaLogLevel,
  type Token,
} from 'node-llama-cpp'
import type { GgufFormatName } from '../../../../dist/bench/models/gguf-blocks.js'
import { type Contender, pathOf, type Session } from '../contender.js'

const version = await getModuleVersion()

export const llamaCpp = contender('node-llama-cpp', 'q8_0')
export const llamaCppQ4 = contender('node-llama-cpp, Q4_0', 'q4_0')
export const llamaCppQ4K = contender('node-llama-cpp, Q4_K_M', 'q4_k_m')

/** llama.cpp on the CPU, its defaults except for the threads: float16 cache, flash attention where possible. */
function contender(name: string, format: GgufFormatName): Contender {
  return {
    name,
    version,
    weights: (files) => pathOf(files, format),
    start: async (threads) => {
      const llama = await getLlama({
        gpu: false,
        build: 'never',
        maxThreads: threads,
        // it warns of a tokenizer without an end-of-sequence token
        logLevel: LlamaLogLevel.error,
      })
      return {
        load: async (files) => {
          const model = await llama.loadModel({ modelPath: pathOf(files, format) })
          return {
            open: async (sequences, length) =>
              openSession(
                await model.createContext({
                  sequences,
                  // it shifts a context that has no room for one more
                  contextSize: length + 2,
                  threads: { ideal: threads, min: threads },
                }),
              ),
          }
        },
      }
    },
  }
}

function openSession(context: LlamaContext): Session {
  const sequences = Array.from({ length: context.totalSequences }, () => context.getSequence())
  let last: number[] = []
  return {
    prefill: async (prompts) => {
      for (const sequence of sequences) await sequence.clearHistory()
      last = await Promise.all(sequences.map((sequence, i) => nextToken(sequence, prompts[i])))
      return last
    },
    decode: async (steps) => {
      const times: number[] = []
      while (times.length < steps) {
        last = await Promise.all(sequences.map((sequence, i) => nextToken(sequence, [last[i]])))
        times.push(performance.now())
      }
      return times
    },
    close: () => context.dispose(),
  }
}

/** The greedy choice; the API cannot compute logits without sampling. */
async function nextToken(
  sequence: LlamaContextSequence,
  input: readonly number[],
): Promise<number> {
  const tokens = input as readonly Token[]
  const results = await sequence.controlledEvaluate([
    ...tokens.slice(0, -1),
    [tokens[tokens.length - 1], { generateNext: { token: true, options: { temperature: 0 } } }],
  ])
  const token = results[tokens.length - 1]?.next.token
  if (token === undefined || token === null) throw new Error('node-llama-cpp gave no next token')
  return token
}
