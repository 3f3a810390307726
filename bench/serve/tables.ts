import { markdownTable } from 'markdown-table'
import { count, digits, duration } from '../../dist/src/measure/quantities.js'
import type { Summary } from '../../dist/src/measure/samples.js'
import type { Result } from './measure.js'
import type { Run, ServeReport } from './report.js'

/** The report in Markdown. */
export function formatTables(report: ServeReport): string {
  const { machine, isa, compiler, runs } = report
  const models = [...new Set(runs.map(({ model }) => model))]
  const blocks = [
    '# The server under load',
    `${machine.cpu}, ${machine.cpus} cores, ${isa} by ${compiler}. Median and p99 of times, medians of the rounds ` +
      'of rates; in the last two columns also the least and the most of the rounds.',
    ...models.flatMap((model) => [`## ${model}`, table(runs.filter((run) => run.model === model))]),
  ]
  return `${blocks.join('\n\n')}\n`
}

function table(runs: readonly Run[]): string {
  return markdownTable(
    [
      [
        ...['load', '', 'tokens/s', 'first token', 'p99', 'between tokens', 'p99', 'client'],
        ...['tokens/s of the first line', 'first token later by'],
      ],
      ...runs.flatMap((run) =>
        run.results.map((result, i) => [
          i === 0 ? describe(run) : '',
          result.name,
          ...cells(result),
          ...(i === 0 ? ['', ''] : comparison(result)),
        ]),
      ),
    ],
    { align: ['l', 'l', ...Array(8).fill('r')] },
  )
}

/** `8 streams, 16 + 32 tokens, 48 requests, 2026-01-31` */
export function describe(run: Run): string {
  const { streams, perSecond, prompt, tokens, requests, rounds, date } = run
  const load = streams === undefined ? `${perSecond} requests/s` : count(streams, 'stream')
  const all = count(requests * rounds, 'request')
  return `${load}, ${prompt} + ${tokens} tokens, ${all}, ${date.slice(0, 10)}`
}

function cells({ tokensPerSecond, firstToken, betweenTokens, client }: Result): string[] {
  return [
    digits(tokensPerSecond.median),
    ...[firstToken.median, firstToken.p99, betweenTokens.median, betweenTokens.p99].map(millis),
    `${digits(100 * client)} %`,
  ]
}

function comparison({ ofFirst, afterFirst }: Result): string[] {
  return [spread(ofFirst, (ratio) => ratio.toFixed(3)), spread(afterFirst, millis)]
}

function spread({ median, min, max }: Summary, format: (value: number) => string): string {
  return `**${format(median)}** (${format(min)} to ${format(max)})`
}

function millis(time: number): string {
  return time < 0 ? `-${duration(-1000 * time)}` : duration(1000 * time)
}

/*
 * Lines are printed as they are measured, so columns have fixed widths.
 */

export function printRun(run: Run): void {
  console.log(`\n${run.model}, ${describe(run)}`)
  for (const result of run.results) {
    const [rate, first, firstP99, gap, gapP99, client] = cells(result)
    const [ratio, later] = comparison(result)
    console.log(
      `${result.name.padEnd(18)}${`${rate} tokens/s`.padStart(16)}, first token ${first}, p99 ${firstP99}` +
        `, between ${gap}, p99 ${gapP99}, client ${client}, ${ratio} of the first, ${later} later`,
    )
  }
}
