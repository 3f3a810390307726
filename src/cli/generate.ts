import { styleText } from 'node:util'
import { Argument, Command, Option } from 'commander'
import { Model } from '../model/model.js'
import { Pool } from '../pool/pool.js'
import { interruptSignal } from './interrupt.js'
import { number, threadsOption } from './options.js'
import { root } from './package.js'
import { withProgressBar } from './progress.js'
import { Stopwatch } from './stopwatch.js'

interface GenerateFlags {
  model: string
  maxTokens: number
  temperature: number
  topK?: number
  topP: number
  seed?: number
  stop?: string[]
  threads: number
}

const FIXTURE = `${root}fixtures/qwen3-shakespeare-w8a8`
const PROMPT = 'ROMEO:\nWhat say'

export const generateCommand = new Command('generate')
  .description('continue a prompt with a language model')
  .addArgument(
    new Argument('[prompt...]', 'the text to continue').default([PROMPT], JSON.stringify(PROMPT)),
  )
  .addOption(
    new Option('--model <folder>', 'with config.json, tokenizer.json, model.safetensors').default(
      FIXTURE,
      'a small one that has read Shakespeare',
    ),
  )
  .option('--max-tokens <n>', 'the most tokens to generate', number, 256)
  .option('--temperature <t>', '0 always takes the likeliest token', number, 0.8)
  .option('--top-k <k>', 'draw from the k likeliest tokens only', number)
  .option('--top-p <p>', 'draw from the likeliest tokens of total probability p', number, 0.95)
  .option('--seed <n>', 'makes the draws repeatable', number)
  .option('--stop <text>', 'end before this text; may be given again', collect)
  .addOption(threadsOption())
  .action(async (prompt: string[], flags: GenerateFlags) => {
    const signal = interruptSignal()
    await using pool = await Pool.create({ threads: flags.threads })
    try {
      using model = await withProgressBar('loading', (onProgress) =>
        Model.load(pool, flags.model, { onProgress, signal }),
      )
      const stopwatch = new Stopwatch(model)
      await stream(model, prompt.join(' '), { ...flags, signal }, stopwatch)
      console.error(stopwatch.summary(pool))
    } catch (error) {
      if (!signal.aborted) throw error
    }
  })

function collect(text: string, others: string[] = []): string[] {
  return [...others, text]
}

/** Writes the text as it comes; a terminal shows the prompt before it. */
async function stream(
  model: Model,
  prompt: string,
  options: GenerateFlags & { signal: AbortSignal },
  stopwatch: Stopwatch,
): Promise<void> {
  const { temperature, topK, topP, ...others } = options
  const pieces = model.generate(prompt, { ...others, sampling: { temperature, topK, topP } })
  if (process.stdout.isTTY) process.stdout.write(styleText('dim', prompt))
  try {
    for await (const piece of pieces) {
      stopwatch.lap()
      process.stdout.write(piece)
    }
  } catch (error) {
    if (!options.signal.aborted) throw error
  } finally {
    process.stdout.write('\n')
  }
}
