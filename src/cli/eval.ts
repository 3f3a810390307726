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
  .description('tell how well a language model predicts a text')
  .argument('<file>', 'the text, UTF-8; - reads stdin')
  .addOption(modelOption().makeOptionMandatory())
  .addOption(againstOption())
  .option('--chart <file>', 'with --against: draw the error of each Linear, as SVG')
  .option('--window <n>', 'tokens that are predicted from each other (default: 256)', number)
  .option('--json', 'print JSON')
  .action(async (file: string, flags: EvalFlags) => {
    if (flags.chart !== undefined && flags.against === undefined) {
      throw new ArgumentError('--chart', '--against, to have errors to draw', '--chart alone')
    }
    const input = file === '-' ? await text(process.stdin) : await readText(file)
    await interruptible(async (signal) => {
      await using pool = await Pool.create({ threads: flags.threads })
      const options = toLoadOptions(flags)
      using model = await loadModel(pool, flags.model, { ...options, signal })
      const ids = await model.tokenizer.encodeAsync(input, { signal })
      if (ids.length < 2)
        throw new ArgumentError('file', 'a text of at least 2 ids', `${ids.length}`)
      const { against } = flags
      if (against === undefined) return await evaluate(model, ids, flags, signal)
      const others = { ...referenceOptions(options, against), signal }
      using reference = await loadModel(pool, against.model ?? flags.model, others)
      await compare(model, reference, ids, flags, signal)
    })
  })

addOptions(evalCommand, runOptions())

/** Prints how well a model predicts a text. */
async function evaluate(
  model: Model,
  ids: ArrayLike<number>,
  { window, json }: EvalFlags,
  signal: AbortSignal,
): Promise<void> {
  const start = performance.now()
  const nll = await withProgressBar('scoring', (onProgress) =>
    model.nll(ids, { window, signal, onProgress }),
  )
  const idsPerSecond = (model.stats().ids / (performance.now() - start)) * 1e3
  const score = { ids: ids.length, nll, perplexity: Math.exp(nll), idsPerSecond }
  console.log(json ? JSON.stringify(score, null, 2) : presentScore(score))
}

/** How well a model predicts a text. */
interface Score {
  /** Of the text. */
  ids: number
  /** Mean negative log likelihood, nats per predicted id. */
  nll: number
  perplexity: number
  idsPerSecond: number
}

function presentScore({ ids, nll, perplexity, idsPerSecond }: Score): string {
  const scores = `nll ${nll.toFixed(4)}, perplexity ${perplexity.toFixed(3)}`
  return `${ids} ids, ${scores}, ${digits(idsPerSecond)} ids/s`
}

/** Prints how far a model is from a reference, and draws which Linears are to blame. */
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
