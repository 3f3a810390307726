import { markdownTable } from 'markdown-table'
import { describePeakRate } from '../../../dist/src/measure/peak-rate.js'
import { count, digits, duration } from '../../../dist/src/measure/quantities.js'
import type { Summary } from '../../../dist/src/measure/samples.js'
import type { Result } from './measure.js'
import type { ModelsReport, Run } from './report.js'

/** The report in Markdown. */
export function formatTables(report: ModelsReport): string {
  const blocks = [
    '# dotpool and its rivals, whole models',
    head(report),
    ...report.runs.flatMap((run) => [
      `## ${run.shape}, ${count(run.threads, 'thread')}`,
      rooflines(run),
      speeds(run),
      loadingAndEventLoop(run),
    ]),
    '## Contenders',
    contendersSection(report),
  ]
  return `${blocks.join('\n\n')}\n`
}

function head({ machine, isa, compiler, date }: ModelsReport): string {
  return [
    `${machine.cpu}, ${isa} by ${compiler}, ${date.slice(0, 10)}.`,
    'A cell has the median tokens/s of all sequences together, the least and the most, the number of samples,',
    'and the fraction of the roofline: the median of the rounds, in which all take turns, the least and the',
    'most of them. Ratios of fewer than 20 rounds are not given.',
  ].join('\n')
}

function rooflines({ rooflines, peakRate, agreement }: Run): string {
  const bounds = rooflines.map(
    ({ name, unit, rate: { median, min, max } }) =>
      `\`${name}\` ${digits(median)} ${unit} (${digits(min)} to ${digits(max)})`,
  )
  const rivals = Object.entries(agreement.agreeing).slice(1)
  const agreements = rivals.map(
    ([name, agreeing]) =>
      `${name} continues ${agreeing} of ${agreement.prompts} random prompts with the same token.`,
  )
  const peak = peakRate === undefined ? [] : [`\`peak\` is ${describePeakRate(peakRate)}.`]
  return [`Rooflines: ${bounds.join(', ')}.`, ...peak, ...agreements].join('\n')
}

/** A row for each scenario, a column for each contender, then one for how much longer each rival takes. */
function speeds({ results, loading }: Run): string {
  const names = loading.map(({ name }) => name)
  const rivals = names.slice(1)
  const rows = [...new Set(results.map(({ scenario }) => scenario))].map((scenario) => {
    const row = results.filter((result) => result.scenario === scenario)
    return [
      scenario,
      ...row.map(cell),
      ...row.slice(1).map(({ timesDotpool }) => spread(timesDotpool)),
    ]
  })
  return markdownTable(
    [['', ...names, ...rivals.map((name) => `_time of ${name} over ${names[0]}'s_`)], ...rows],
    { align: ['l', ...[...names, ...rivals].map(() => 'r')] },
  )
}

function cell({ rate, speed }: Result): string {
  const lines = [
    `**${digits(rate.median)}** (${digits(rate.min)} to ${digits(rate.max)})`,
    count(rate.samples, 'sample'),
  ]
  if (speed?.bound !== undefined)
    lines.push(`${spread(speed.bound.ratio)} of \`${speed.bound.name}\``)
  return lines.join('<br>')
}

function spread(summary: Summary | undefined): string {
  if (summary === undefined) return 'too few rounds'
  const { median, min, max } = summary
  return `**${median.toFixed(2)}** (${min.toFixed(2)} to ${max.toFixed(2)})`
}

function loadingAndEventLoop({ loading, eventLoop }: Run): string {
  return markdownTable(
    [
      ['', 'loading', 'reading the file', 'loads', 'event loop late, p99', 'at most'],
      ...loading.map(({ name, load, read }, i) => [
        name,
        `${duration(load.median)} (${duration(load.min)} to ${duration(load.max)})`,
        duration(read.median),
        String(load.samples),
        ...[eventLoop[i].late.p99, eventLoop[i].late.max].map(duration),
      ]),
    ],
    { align: ['l', 'r', 'r', 'r', 'r', 'r'] },
  )
}

function contendersSection({ versions, absent }: ModelsReport): string {
  const present = Object.entries(versions).map(([name, version]) => `- ${name} ${version}`)
  return [...present, ...absent.map(({ name, why }) => `- ${name} ${why}`)].join('\n')
}
