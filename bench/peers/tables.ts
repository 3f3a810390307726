import { markdownTable } from 'markdown-table'
import type { Summary } from '../../dist/src/cli/measure/samples.js'
import { count, digits, duration } from '../../dist/src/cli/text.js'
import type { Result } from './measure.js'
import { namesOf, type PeersReport, rowCountsOf, shapesOf } from './report.js'

/** The report in Markdown. */
export function formatTables(report: PeersReport): string {
  const blocks = [
    '# dotpool and its rivals',
    head(report),
    '![Fractions of the roofline; the lines reach from the least to the most](chart.svg)',
    ...rowCountsOf(report).flatMap((m) => [`## ${heading(m)}`, speeds(report, m)]),
    '## The event loop',
    'How late a timer of 1 ms is in the thread that awaits one long call after the other.',
    delays(report),
    '## Who takes part',
    whoTakesPart(report),
  ]
  return `${blocks.join('\n\n')}\n`
}

function head({ machine, isa, threads, rooflines, date }: PeersReport): string {
  const bounds = rooflines.map(
    ({ name, unit, rate: { median, min, max } }) =>
      `\`${name}\` ${digits(median)} ${unit} (${digits(min)} to ${digits(max)})`,
  )
  return [
    `${machine.cpu}, ${count(threads, 'thread')}, ${isa}, ${date.slice(0, 10)}.`,
    `Rooflines: ${bounds.join(', ')}.`,
    'A cell has the median time of one Linear and its fraction of the roofline: the median of 20',
    'rounds, in which all take turns, and the least and the most of them.',
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
      ['_time of the best rival over the first line_', ...columns.map(bestRival)],
    ],
    { align: ['l', ...shapes.map(() => 'r')] },
  )
}

function cell({ operator, micros, speed: { bound } }: Result): string {
  const lines = [duration(micros.median)]
  if (bound !== undefined) lines.push(spread(bound.ratio))
  if (operator !== undefined) lines.push(operator)
  return lines.join('<br>')
}

function bestRival(results: Result[]): string {
  const times = results.filter(({ rival }) => rival).map(({ timesFirst }) => timesFirst)
  return spread(times.reduce((best, other) => (other.median < best.median ? other : best)))
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

function whoTakesPart({ versions, absent }: PeersReport): string {
  const present = Object.entries(versions).map(([name, version]) => `- ${name} ${version}`)
  return [...present, ...absent.map(({ name, why }) => `- ${name} ${why}`)].join('\n')
}
