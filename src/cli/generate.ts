import { styleText } from 'node:util'
import { Argument, Command } from 'commander'
import { root } from '../package.js'
import { Pool } from '../pool/pool.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { type ModelFlags, modelOption, runOptions, toLoadOptions } from './model-options.js'
import { addOptions, number } from './options.js'
import { Stopwatch } from './stopwatch.js'
import { type TextFlags, textOptions, toGenerateOptions } from './text-options.js'
import { writeText } from './write-text.js'

const FIXTURE = `${root}fixtures/qwen3-shakespeare-w8a8`
const PROMPT = 'ROMEO:\nWhat say'

export const generateCommand = new Command('generate')
  .description('continue a prompt with a language model')
  .addArgument(
    new Argument('[prompt...]', 'the text to continue').default([PROMPT], JSON.stringify(PROMPT)),
  )
  .addOption(modelOption().default(FIXTURE, 'a small Shakespeare model'))
  .option('--max-tokens <n>', 'the most tokens to generate', number, 256)
  .action((words: string[], flags: ModelFlags & TextFlags) =>
    interruptible(async (signal) => {
      await using pool = await Pool.create({ threads: flags.threads })
      using model = await loadModel(pool, flags.model, { ...toLoadOptions(flags), signal })
      const prompt = words.join(' ')
      const pieces = model.generate(prompt, { ...toGenerateOptions(flags), signal })
      // the user has been waiting since the process started
      const stopwatch = new Stopwatch(model, 0)
      if (process.stdout.isTTY) process.stdout.write(styleText('dim', prompt))
      await writeText(pieces, stopwatch, signal)
      console.error(stopwatch.summary())
    }),
  )

addOptions(generateCommand, [...textOptions(), ...runOptions()])
