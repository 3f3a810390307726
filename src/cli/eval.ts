import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { Pool } from '../pool/pool.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { type ModelFlags, modelOption, runOptions, toLoadOptions } from './model-options.js'
import { addOptions, number } from './options.js'
import { withProgressBar } from './progress.js'
import { digits } from './text.js'

interface EvalFlags extends ModelFlags {
  window?: number
  json?: true
}

export const evalCommand = new Command('eval')
  .description('tell how well a language model predicts a text')
  .argument('<file>', 'the text, UTF-8; - reads stdin')
  .addOption(modelOption().makeOptionMandatory())
  .option('--window <n>', 'tokens that are predicted from each other (default: 256)', number)
  .option('--json', 'print JSON')
  .action(async (file: string, flags: EvalFlags) => {
    const input = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
    await interruptible(async (signal) => {
      const score = await evaluate(input, flags, signal)
      console.log(flags.json ? JSON.stringify(score, null, 2) : present(score))
    })
  })

addOptions(evalCommand, runOptions())

interface Score {
  /** Of the text. */
  ids: number
  /** Mean negative log likelihood, nats per predicted id. */
  nll: number
  perplexity: number
  idsPerSecond: number
}

async function evaluate(input: string, flags: EvalFlags, signal: AbortSignal): Promise<Score> {
  await using pool = await Pool.create({ threads: flags.threads })
  using model = await loadModel(pool, flags.model, { ...toLoadOptions(flags), signal })
  const ids = model.tokenizer.encode(input)
  if (ids.length < 2) throw new ArgumentError('file', 'a text of at least 2 ids', `${ids.length}`)
  const start = performance.now()
  const nll = await withProgressBar('scoring', (onProgress) =>
    model.nll(ids, { window: flags.window, signal, onProgress }),
  )
  const idsPerSecond = (model.stats().ids / (performance.now() - start)) * 1e3
  return { ids: ids.length, nll, perplexity: Math.exp(nll), idsPerSecond }
}

function present({ ids, nll, perplexity, idsPerSecond }: Score): string {
  const scores = `nll ${nll.toFixed(4)}, perplexity ${perplexity.toFixed(3)}`
  return `${ids} ids, ${scores}, ${digits(idsPerSecond)} ids/s`
}
