import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { isWrong } from './check.js'
import { percent } from './print.js'
import { namesOf, type PeersReport, rowCountsOf, shapesOf } from './report.js'

/** Colours of the light mode. */
const ink = '#1f2328'
const faint = '#59636e'
const track = '#eff2f5'
const dotpool = '#0969da'
const rival = '#9ba5b0'
const wrong = '#cf222e'

/** Their counterparts in the dark mode. */
const night = {
  [ink]: '#f0f6fc',
  [faint]: '#9198a1',
  [track]: '#21262d',
  [dotpool]: '#4493f8',
  [rival]: '#6e7681',
  [wrong]: '#ff7b72',
}

/** Marks a wrong result; its error stands beside it. */
const MARK = '\u2717'

const TITLE = 'Fractions of the roofline that dotpool and its rivals reach'

const BAR = 18
/** A column of bars, and the gap to the next, which holds numbers. */
const COLUMN = 135
const BESIDE = 47
/** Above a group of bars, for its heading. */
const GAP = 42
const MARGIN = { top: 78, right: 40, bottom: 14, left: 258 }
/** The space that marks of wrong results take beside the numbers, and their legend below. */
const MARKS = { beside: 48, below: 28 }

/**
 * Draws the fraction of the roofline that each contender reaches: a column for each shape, a group of bars for each
 * number of rows. An SVG image that follows the reader's light or dark mode.
 */
export function drawChart(report: PeersReport): string {
  const { document } = parseHTML('<html></html>')
  const names = namesOf(report)
  const rows = rowCountsOf(report)
  const shapes = shapesOf(report).map(shapeName)
  const bars = report.results.map(({ name, rival: isRival, shape, m, error, speed }) => ({
    name,
    m,
    shape: shapeName(shape),
    median: speed.bound?.ratio.median ?? Number.NaN,
    least: speed.bound?.ratio.min,
    most: speed.bound?.ratio.max,
    fill: isRival ? rival : dotpool,
    textFill: isRival ? faint : ink,
    error,
  }))
  const wrongBars = bars.filter(({ error }) => isWrong(error))
  const marks = wrongBars.length > 0 ? MARKS : { beside: 0, below: 0 }
  const gap = BESIDE + marks.beside
  const group = names.length * BAR
  const place = { y: 'name', fx: 'shape', fy: 'm' }
  const heading = {
    frameAnchor: 'top-left',
    fill: ink,
    fontWeight: 600,
    lineAnchor: 'bottom',
  } as const
  const chart = Plot.plot({
    document,
    width: MARGIN.left + shapes.length * (COLUMN + gap) - gap + MARGIN.right + marks.beside,
    height: MARGIN.top + rows.length * (group + GAP) - GAP + MARGIN.bottom + marks.below,
    marginTop: MARGIN.top,
    marginRight: MARGIN.right + marks.beside,
    marginBottom: MARGIN.bottom + marks.below,
    marginLeft: MARGIN.left,
    style: { fontSize: '13px' },
    x: { domain: [0, 1], clamp: true, axis: null },
    y: { domain: names, axis: null, padding: 0.3 },
    fx: { domain: shapes, axis: null, paddingInner: gap / (COLUMN + gap), paddingOuter: 0 },
    fy: { domain: rows, axis: null, paddingInner: GAP / (group + GAP), paddingOuter: 0 },
    marks: [
      Plot.axisY({ anchor: 'left', label: null, tickSize: 0, fill: ink }),
      Plot.barX(bars, { ...place, x: 1, fill: track, rx: 3 }),
      Plot.barX(bars, { ...place, x: 'median', fill: 'fill', rx: 3 }),
      Plot.ruleY(bars, { ...place, x1: 'least', x2: 'most', stroke: ink, strokeOpacity: 0.6 }),
      Plot.text(bars, {
        ...place,
        x: 1,
        text: ({ median }) => median.toFixed(2),
        textAnchor: 'start',
        dx: 6,
        fill: 'textFill',
      }),
      Plot.text(wrongBars, {
        ...place,
        x: 1,
        text: ({ error }) => `${MARK} ${percent(error)}`,
        textAnchor: 'start',
        dx: 38,
        fill: wrong,
      }),
      Plot.text(wrongBars.slice(0, 1), {
        frameAnchor: 'bottom-left',
        fx: () => shapes[0],
        fy: () => rows.at(-1),
        text: () => `${MARK} wrong, by this share of the norm of the exact result`,
        fill: wrong,
        dx: -MARGIN.left + 12,
        dy: MARKS.below,
      }),
      Plot.text(rows, {
        ...heading,
        fx: () => shapes[0],
        fy: (m) => m,
        text: groupHeading,
        dx: -MARGIN.left + 12,
        dy: -6,
      }),
      Plot.text(shapes, {
        ...heading,
        fx: (shape) => shape,
        fy: () => rows[0],
        text: (shape) => shape,
        dy: -30,
      }),
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
    ['fill', 'stroke'].map((property) => `  [${property}="${day}"] { ${property}: ${color} }`),
  ),
  '}',
].join('\n')

function shapeName({ k, n }: { k: number; n: number }): string {
  return `K × N = ${k} × ${n}`
}

function groupHeading(m: number): string {
  return m === 1 ? '1 row: share of the read bandwidth' : `${m} rows: share of the multiply rate`
}
