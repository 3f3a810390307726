import { writeFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { digits } from '../measure/quantities.js'
import { compareModels } from '../model/evaluation/compare.js'
import { compareLinears } from '../model/evaluation/linear-errors.js'
import { readText } from '../model/json/files.js'
import type { Model } from '../model/model.js'
import { Pool } from '../pool/pool.js'
import { againstOption, type Reference, referenceOptions } from './against.js'
import { presentComparison } from './comparison.js'
import { drawErrors } from './error-chart.js'
import { presentErrors } from './error-table.js'
import { interruptible } from './interrupt.js'
import { loadModel } from './load-model.js'
import { type ModelFlags, modelOption, runOptions, toLoadOptions } from './model-options.js'
import { addOptions, number } from './options.js'
import { withProgressBar } from './progress.js'

interface EvalFlags extends ModelFlags {
  against?: Reference
  chart?: string
  window?: number
  json?: true
}

export const evalCommand = new Command('eval')
  .description('measure how well a language model predicts a text')
  .argument('<file>', 'the text, UTF-8; - reads stdin')
  .addOption(modelOption().makeOptionMandatory())
  .addOption(againstOption())
  .option('--chart <file>', 'with --against: draw the error of each Linear, as SVG')
  .option(
    '--window <n>',
    'tokens per window; predictions see their own window only (default: 256)',
    number,
  )
  .option('--json', 'print JSON')
  .action(async (file: string, flags: EvalFlags) => {
    if (flags.chart !== undefined && flags.against === undefined) {
      throw new ArgumentError(
        '--chart',
        '--against, because the chart shows errors against a reference',
        '--chart alone',
      )
    }
    const input = file === '-' ? await text(process.stdin) : await readText(file)
    await interruptible(async (signal) => {
      await using pool = await Pool.create({ threads: flags.threads })
      const options = toLoadOptions(flags)
      using model = await loadModel(pool, flags.model, { ...options, signal })
      const tokens = await model.tokenizer.encodeAsync(input, { signal })
      if (tokens.length < 2)
        throw new ArgumentError('file', 'a text of at least 2 tokens', `${tokens.length}`)
      const { against } = flags
      if (against === undefined) return await evaluate(model, tokens, flags, signal)
      const others = { ...referenceOptions(options, against), signal }
      using reference = await loadModel(pool, against.model ?? flags.model, others)
      await compare(model, reference, tokens, flags, signal)
    })
  })

addOptions(evalCommand, runOptions())

/** Prints how well a model predicts a text. */
async function evaluate(
  model: Model,
  tokens: ArrayLike<number>,
  { window, json }: EvalFlags,
  signal: AbortSignal,
): Promise<void> {
  const start = performance.now()
  const nll = await withProgressBar('scoring', (onProgress) =>
    model.nll(tokens, { window, signal, onProgress }),
  )
  const tokensPerSecond = (model.stats().tokens / (performance.now() - start)) * 1e3
  const score = { tokens: tokens.length, nll, perplexity: Math.exp(nll), tokensPerSecond }
  console.log(json ? JSON.stringify(score, null, 2) : presentScore(score))
}

/** How well a model predicts a text. */
interface Score {
  /** Of the text. */
  tokens: number
  /** Mean negative log likelihood, nats per predicted token. */
  nll: number
  perplexity: number
  tokensPerSecond: number
}

function presentScore({ tokens, nll, perplexity, tokensPerSecond }: Score): string {
  const scores = `nll ${nll.toFixed(4)}, perplexity ${perplexity.toFixed(3)}`
  return `${tokens} tokens, ${scores}, ${digits(tokensPerSecond)} tokens/s`
}

/** Prints how far a model is from a reference, and draws the error of each Linear. */
async function compare(
  model: Model,
  reference: Model,
  tokens: ArrayLike<number>,
  { window, json, chart }: EvalFlags,
  signal: AbortSignal,
): Promise<void> {
  const linears = await withProgressBar('comparing Linears', (onProgress) =>
    compareLinears(model, reference, tokens, { signal, onProgress }),
  )
  if (chart !== undefined) await writeFile(chart, drawErrors(linears))
  const comparison = await withProgressBar('comparing', (onProgress) =>
    compareModels(model, reference, tokens, { window, signal, onProgress }),
  )
  const text = [presentComparison(comparison), presentErrors(linears)].join('\n\n')
  console.log(json ? JSON.stringify({ ...comparison, linears }, null, 2) : text)
}
