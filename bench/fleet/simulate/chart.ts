import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { usualGateways } from './gateways.js'
import type { PolicyName } from './policy.js'
import type { Line, SimulationReport } from './report.js'
import { workloads } from './workload.js'

/** Colours of the light mode. */
const ink = '#1f2328'
const faint = '#59636e'
const rule = '#d1d9e0'
const colors: Record<PolicyName, string> = {
  'round robin': '#9ba5b0',
  random: '#c4b2a0',
  'least loaded': '#bf8700',
  'LocalAI’s figures': '#8250df',
  dotpool: '#0969da',
}

/** Their counterparts in the dark mode. */
const night = {
  [ink]: '#f0f6fc',
  [faint]: '#9198a1',
  [rule]: '#3d444d',
  [colors['round robin']]: '#6e7681',
  [colors.random]: '#8a7a68',
  [colors['least loaded']]: '#d29922',
  [colors['LocalAI’s figures']]: '#ab7df8',
  [colors.dotpool]: '#4493f8',
}

/** From a name of the legend to the next. */
const LEGEND = 135

const TITLE = 'p99 of the time to the first token by load, of simulated fleets'

/**
 * Draws the p99 of the time to the first token by load: a column for each number of workers, a row for each workload, a
 * line for each policy. An SVG image that follows the reader's light or dark mode.
 */
export function drawChart({ lines }: SimulationReport): string {
  const { document } = parseHTML('<html></html>')
  const points = lines
    .filter(({ arrivals, machines }) => arrivals === 'azure' && machines === 'mixed')
    .filter(({ workers, gateways }) => gateways === usualGateways(workers))
    .map((line) => ({ ...line, seconds: line.firstToken.p99 / 1000, fleet: fleetName(line) }))
    .sort((a, b) => a.workers - b.workers || a.perSecond - b.perSecond)
  const rows = Object.keys(workloads).filter((name) => points.some((one) => one.workload === name))
  const place = { x: 'perSecond', y: 'seconds', fx: 'fleet', fy: 'workload' }
  const names = Object.keys(colors) as PolicyName[]
  const chart = Plot.plot({
    document,
    width: 900,
    height: 100 + 220 * rows.length,
    marginTop: 84,
    marginLeft: 58,
    marginRight: 70,
    style: { fontSize: '12px', color: ink },
    x: { label: 'requests/s for each worker', nice: true },
    y: {
      type: 'log',
      domain: [2, 40],
      label: 'p99 of the first token, s',
      labelOffset: 40,
      ticks: [2, 5, 10, 20, 40],
      tickFormat: 'd',
      grid: true,
    },
    fx: { label: null, domain: [...new Set(points.map(({ fleet }) => fleet))] },
    fy: { label: null, domain: rows },
    color: { domain: names, range: names.map((name) => colors[name]) },
    marks: [
      Plot.frame({ stroke: rule }),
      Plot.line(points, { ...place, z: 'policy', stroke: 'policy', strokeWidth: 1.8 }),
      Plot.dot(points, { ...place, fill: 'policy', r: 2.5 }),
      ...names.map((name, i) =>
        Plot.text([name], {
          fx: () => points[0]?.fleet,
          fy: () => rows[0],
          frameAnchor: 'top-left',
          text: () => `● ${name}`,
          fill: colors[name],
          dx: LEGEND * i,
          dy: -50,
        }),
      ),
    ],
  })
  chart.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  // replaces Plot's own style, which is made for pages
  chart.querySelector('style')?.remove()
  chart.prepend(
    Object.assign(document.createElement('title'), { textContent: TITLE }),
    Object.assign(document.createElement('style'), { textContent: style }),
  )
  return `${chart.outerHTML}\n`
}

/** Attributes have the colours of the light mode, and a style overrides them. */
const style = [
  'svg { background: #ffffff }',
  '@media (prefers-color-scheme: dark) {',
  '  svg { background: #0d1117 }',
  ...Object.entries(night).flatMap(([day, color]) =>
    ['fill', 'stroke', 'color'].map(
      (property) => `  [${property}="${day}"] { ${property}: ${color} }`,
    ),
  ),
  '}',
].join('\n')

function fleetName({ workers, gateways }: Line): string {
  return `${workers} workers, ${gateways} gateways`
}
