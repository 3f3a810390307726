import { digits } from '../measure/quantities.js'
import type { LinearError } from '../model/evaluation/linear-errors.js'
import { byKind, meanOf, worstOf } from './error-table.js'

/*
 * An SVG image: for each kind of Linear a row of bars, one for each layer, all on one scale. Rectangles and labels
 * only, so that no library is needed.
 */

const TITLE = 'Error of each Linear, by layer'
const SUBTITLE = '|y − reference| / |reference| on the same input, mean over tokens'

/** In pixels: a bar has a column in a row, and numbers are to the right. */
const COLUMN = 14
const BAR = { width: 11, height: 44 }
const ROW = 66
const MARGIN = { top: 72, right: 150, bottom: 36, left: 104 }
const LEAST_WIDTH = 440

/** Layers between numbers on the axis. */
const TICK = 5

/** Follows the reader's light or dark mode. */
const style = `
svg { background: #ffffff; font: 13px system-ui, sans-serif }
text { fill: #1f2328 }
.faint { fill: #59636e }
.heading { font-weight: 600 }
.bar { fill: #0969da }
.worst { fill: #cf222e }
.floor { fill: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117 }
  text { fill: #f0f6fc }
  .faint { fill: #9198a1 }
  .bar { fill: #4493f8 }
  .worst { fill: #ff7b72 }
  .floor { fill: #3d444d }
}
`

/**
 * Draws the errors of Linears by kind and layer. The worst of each kind is red.
 *
 * @param errors at least one
 */
export function drawErrors(errors: readonly LinearError[]): string {
  const kinds = [...byKind(errors)]
  const layers = Math.max(...errors.map(({ layer }) => layer ?? 0)) + 1
  const scale = BAR.height / (worstOf(errors).error || 1)
  const width = Math.max(LEAST_WIDTH, columnAt(layers) + MARGIN.right)
  const height = MARGIN.top + kinds.length * ROW + MARGIN.bottom
  const parts = [
    `<title>${TITLE}</title>`,
    `<style>${style}</style>`,
    label(16, 26, TITLE, 'heading'),
    label(16, 46, SUBTITLE, 'faint'),
    ...kinds.flatMap(([, list], i) => drawKind(list, MARGIN.top + i * ROW, layers, scale)),
    ...ticks(layers, height - 16),
  ]
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n${parts.join('\n')}\n</svg>\n`
}

/** The bars of one kind, whose row begins at `top`, with its name and its worst and mean error. */
function drawKind(
  errors: readonly LinearError[],
  top: number,
  layers: number,
  scale: number,
): string[] {
  const worst = worstOf(errors)
  const floor = top + BAR.height
  const bars = errors.map(({ name, layer, error }) => {
    const height = error * scale
    const title = `<title>${name}: ${percent(error)}</title>`
    const kind = error > 0 && error === worst.error ? 'bar worst' : 'bar'
    return rectangle(columnAt(layer ?? 0), floor - height, BAR.width, height, kind, title)
  })
  const right = columnAt(layers) + 8
  const [where, mean] =
    worst.layer === null
      ? ['', '']
      : [` in layer ${worst.layer}`, `mean ${percent(meanOf(errors))}`]
  return [
    label(16, floor - 4, worst.kind, 'heading'),
    rectangle(MARGIN.left, floor, layers * COLUMN, 1, 'floor'),
    ...bars,
    label(right, floor - 22, `${percent(worst.error)}${where}`),
    label(right, floor - 4, mean, 'faint'),
  ]
}

/** The numbers of some layers, below their bars. */
function ticks(layers: number, y: number): string[] {
  const numbered = Array.from({ length: Math.ceil(layers / TICK) }, (_, i) => i * TICK)
  const numbers = numbered.map((layer) => label(columnAt(layer), y, `${layer}`, 'faint'))
  return [label(16, y, 'layer', 'faint'), ...numbers]
}

function columnAt(layer: number): number {
  return MARGIN.left + layer * COLUMN
}

function rectangle(
  x: number,
  y: number,
  width: number,
  height: number,
  kind: string,
  inside = '',
): string {
  const place = `x="${x}" y="${y.toFixed(2)}" width="${width}" height="${height.toFixed(2)}"`
  return `<rect class="${kind}" ${place}>${inside}</rect>`
}

function label(x: number, y: number, text: string, kind = 'number'): string {
  return `<text class="${kind}" x="${x}" y="${y}">${text}</text>`
}

function percent(share: number): string {
  return `${digits(100 * share)} %`
}
