import { markdownTable } from 'markdown-table'
import { describePeakRate } from '../../dist/src/measure/peak-rate.js'
import { count, digits, duration } from '../../dist/src/measure/quantities.js'
import type { Summary } from '../../dist/src/measure/samples.js'
import { isWrong } from './check.js'
import type { Result } from './measure.js'
import { percent } from './print.js'
import { namesOf, type PeersReport, rowCountsOf, shapesOf } from './report.js'

/**
 * The report in Markdown.
 *
 * @param chart the file of its chart, beside it
 */
export function formatTables(report: PeersReport, chart: string): string {
  const blocks = [
    '# dotpool and its rivals',
    head(report),
    `![Fractions of the roofline; the lines reach from the least to the most](${chart})`,
    ...rowCountsOf(report).flatMap((m) => [`## ${heading(m)}`, speeds(report, m)]),
    '## The event loop',
    'How late a timer of 1 ms is in the thread that awaits one long call after the other.',
    delays(report),
    '## Contenders',
    contendersSection(report),
  ]
  return `${blocks.join('\n\n')}\n`
}

function head({ machine, isa, compiler, threads, rooflines, peakRate, date }: PeersReport): string {
  const bounds = rooflines.map(
    ({ name, unit, rate: { median, min, max } }) =>
      `\`${name}\` ${digits(median)} ${unit} (${digits(min)} to ${digits(max)})`,
  )
  return [
    `${machine.cpu}, ${count(threads, 'thread')}, ${isa} by ${compiler}, ${date.slice(0, 10)}.`,
    `Rooflines: ${bounds.join(', ')}.`,
    ...(peakRate === undefined ? [] : [`\`peak\` is ${describePeakRate(peakRate)}.`]),
    'A cell has the median time of one Linear and its fraction of the roofline: the median of 20',
    'rounds, in which all take turns, and the least and the most of them. Wrong results, which int8 rounding',
    'cannot explain, are marked with their distance from the exact ones, as a share of their norm.',
  ].join('\n')
}

function heading(m: number): string {
  return m === 1 ? '1 row, against `read`' : `${m} rows, against \`peak\``
}

/** A row for each contender, a column for each shape. */
function speeds(report: PeersReport, m: number): string {
  const shapes = shapesOf(report)
  const columns = shapes.map(({ k, n }) =>
    report.results.filter(
      (result) => result.m === m && result.shape.k === k && result.shape.n === n,
    ),
  )
  return markdownTable(
    [
      ['K x N', ...shapes.map(({ k, n }) => `${k} x ${n}`)],
      ...namesOf(report).map((name, i) => [name, ...columns.map((column) => cell(column[i]))]),
      [
        '_time of the best rival over the first line_',
        ...columns.map((column) => best(rivals(column))),
      ],
      ...(columns.some((column) => rivals(column).some(({ error }) => isWrong(error)))
        ? [
            [
              '_of the best that is right_',
              ...columns.map((column) => best(rivals(column).filter(isRight))),
            ],
          ]
        : []),
    ],
    { align: ['l', ...shapes.map(() => 'r')] },
  )
}

function cell({ operator, error, micros, speed: { bound } }: Result): string {
  const lines = [duration(micros.median)]
  if (bound !== undefined) lines.push(spread(bound.ratio))
  if (operator !== undefined) lines.push(operator)
  if (isWrong(error)) lines.push(`**wrong by ${percent(error)}**`)
  return lines.join('<br>')
}

function rivals(results: Result[]): Result[] {
  return results.filter(({ rival }) => rival)
}

function isRight({ error }: Result): boolean {
  return !isWrong(error)
}

/** How much longer than the first line the fastest of some results takes. */
function best(results: Result[]): string {
  if (results.length === 0) return ''
  const { timesFirst, error } = results.reduce((a, b) =>
    b.timesFirst.median < a.timesFirst.median ? b : a,
  )
  return isWrong(error) ? `${spread(timesFirst)}<br>wrong by ${percent(error)}` : spread(timesFirst)
}

function spread({ median, min, max }: Summary): string {
  return `**${median.toFixed(2)}** (${min.toFixed(2)} to ${max.toFixed(2)})`
}

function delays({ eventLoop }: PeersReport): string {
  return markdownTable(
    [
      ['', 'a call', 'late, median', 'late, at most'],
      ...eventLoop.map(({ name, micros, delay }) => [
        name,
        ...[micros.median, delay.median, delay.max].map(duration),
      ]),
    ],
    { align: ['l', 'r', 'r', 'r'] },
  )
}

function contendersSection({ versions, absent }: PeersReport): string {
  const present = Object.entries(versions).map(([name, version]) => `- ${name} ${version}`)
  return [...present, ...absent.map(({ name, why }) => `- ${name} ${why}`)].join('\n')
}
