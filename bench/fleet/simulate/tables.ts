import { markdownTable } from 'markdown-table'
import { digits, duration } from '../../../dist/src/measure/quantities.js'
import type { Line, SimulationReport } from './report.js'
import { workloads } from './workload.js'

/** The report in Markdown. */
export function formatTables({ lines, seed, warmUp, counted }: SimulationReport): string {
  const blocks = [
    '# Simulated fleets',
    `Seed ${seed}; ${counted} s after ${warmUp} s in which caches fill. Of times the median and p99, of a whole answer the mean; \`cached\` is the part ` +
      'of prompts that was in the cache, `busy` the part of the time that workers compute, and `imbalance` its standard ' +
      'deviation over the workers, relative to it.',
    ...Object.entries(workloads).flatMap(([name, { about }]) => {
      const some = lines.filter(({ workload }) => workload === name)
      return some.length === 0 ? [] : [`## ${name}: ${about}`, table(some)]
    }),
  ]
  return `${blocks.join('\n\n')}\n`
}

function table(lines: readonly Line[]): string {
  return markdownTable(
    [
      [
        ...['fleet', 'arrivals', 'requests/s a worker', 'policy', 'first token', 'p99'],
        ...[
          'between tokens',
          'p99',
          'whole answer',
          'tokens/s a worker',
          'cached',
          'busy',
          'imbalance',
          'refused',
        ],
      ],
      ...lines.map((line) => [
        `${line.workers} ${line.machines}, ${line.gateways} gateways`,
        line.arrivals,
        String(line.perSecond),
        line.policy,
        ...cells(line),
      ]),
    ],
    { align: ['l', 'l', 'r', 'l', ...Array(10).fill('r')] },
  )
}

function cells(line: Line): string[] {
  const { firstToken, betweenTokens, answer, tokensPerSecond, cached, busy, imbalance, refused } =
    line
  return [
    ...[firstToken.median, firstToken.p99, betweenTokens.median, betweenTokens.p99, answer].map(
      (millis) => duration(1000 * millis),
    ),
    digits(tokensPerSecond),
    percent(cached),
    percent(busy),
    percent(imbalance),
    percent(refused),
  ]
}

/** A line for the terminal. */
export function formatLine(line: Line): string {
  const [first, firstP99, gap, gapP99, answer, rate, cached, busy, imbalance, refused] = cells(line)
  return (
    `${line.policy.padEnd(20)} first token ${first}, p99 ${firstP99}, between ${gap}, p99 ${gapP99}, answer ${answer}, ` +
    `${rate} tokens/s, ${cached} cached, ${busy} busy, ${imbalance} imbalance, ${refused} refused`
  )
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`
}
