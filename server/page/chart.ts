import { element } from './dom.js'
import type { Figures } from './figures.js'

/** How much time a chart shows. */
export const SPAN_MILLIS = 120_000

const WIDTH = 240
const HEIGHT = 48
/** Room for the line itself. */
const MARGIN = 2

export interface Series {
  /** Told beside its value where a chart has several. */
  readonly name: string
  /** A line joins what is read all the time; dots are events. */
  readonly mark: 'line' | 'dots'
  readonly of: (figures: Figures) => number | undefined
}

export interface ChartOptions {
  readonly title: string
  readonly series: readonly Series[]
  /** A value, with its unit. */
  readonly format: (value: number) => string
  /** The least that the scale reaches to. */
  readonly top: number
}

/** Values over the last two minutes, newest at the right. */
export class Chart {
  readonly element = element('figure', { className: 'chart' })
  readonly #options: ChartOptions
  readonly #value = element('span', { className: 'value' })
  readonly #scale = element('span', { className: 'scale', ariaHidden: 'true' })
  readonly #svg = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' })
  readonly #paths: SVGElement[]
  readonly #areas: SVGElement[]
  readonly #cursor = svg('path', { class: 'cursor' })

  constructor(options: ChartOptions) {
    this.#options = options
    const { title, series } = options
    this.#areas = series.map((_, i) => svg('path', { class: `area series-${i}` }))
    this.#paths = series.map(({ mark }, i) => svg('path', { class: `${mark} series-${i}` }))
    this.#svg.append(...this.#areas, ...this.#paths, this.#cursor)
    this.#svg.setAttribute('aria-hidden', 'true')
    const caption = element('figcaption', {}, element('span', {}, title), this.#value)
    const plot = element('div', { className: 'plot' }, this.#scale)
    plot.append(this.#svg)
    this.element.append(caption, plot)
  }

  /**
   * @param history the oldest first
   * @param pointed those to tell the values of, where not the newest
   */
  draw(history: readonly Figures[], pointed: Figures | undefined): void {
    const { series, format, top } = this.#options
    const now = history.at(-1)?.at ?? 0
    const values = series
      .flatMap(({ of }) => history.map(of))
      .filter((value) => value !== undefined)
    const most = roundUp(Math.max(top, ...values))
    const x = ({ at }: Figures) => WIDTH * (1 - (now - at) / SPAN_MILLIS)
    const y = (value: number) => MARGIN + (HEIGHT - 2 * MARGIN) * (1 - value / most)
    for (const [i, { of, mark }] of series.entries()) {
      const points = history.map((figures) => ({ x: x(figures), value: of(figures) }))
      const runs = toRuns(points)
      const lines = runs.map((run) => {
        const [first, ...rest] = run.map(({ x, value }) => `${x.toFixed(1)} ${y(value).toFixed(1)}`)
        // without a length, round caps make a dot of it
        if (mark === 'dots') return [first, ...rest].map((point) => `M${point}h0`).join('')
        return `M${first}${rest.length === 0 ? 'h0' : `L${rest.join('L')}`}`
      })
      this.#paths[i].setAttribute('d', lines.join(''))
      if (mark === 'dots') continue
      const areas = runs.map((run, r) => `${lines[r]}V${HEIGHT}H${run[0].x.toFixed(1)}Z`)
      this.#areas[i].setAttribute('d', areas.join(''))
    }
    this.#scale.textContent = format(most)
    this.#cursor.setAttribute('d', pointed === undefined ? '' : `M${x(pointed)} 0V${HEIGHT}`)
    this.#value.textContent = this.#describe(history, pointed)
  }

  /** Where a pointer is, from 0 at the left to 1. */
  positionOf({ clientX }: PointerEvent): number {
    const { left, width } = this.#svg.getBoundingClientRect()
    return (clientX - left) / width
  }

  #describe(history: readonly Figures[], pointed: Figures | undefined): string {
    const { series, format } = this.#options
    const told = series.map(({ name, mark, of }) => {
      // of events, the last
      const shown =
        mark === 'dots' ? history.findLast((figures) => of(figures) !== undefined) : history.at(-1)
      const value = (pointed ?? shown) && of((pointed ?? shown) as Figures)
      const text = value === undefined ? '–' : format(value)
      return series.length === 1 ? text : `${text} ${name}`
    })
    return told.join(' · ')
  }
}

/** To one of a few numbers times a power of ten, so that the scale seldom changes. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 1.5, 2, 3, 5, 7.5].find((digit) => digit * power >= value) ?? 10)
}

interface Point {
  readonly x: number
  readonly value: number
}

/** Points without a gap between them. */
function toRuns(points: readonly { x: number; value: number | undefined }[]): Point[][] {
  const runs: Point[][] = [[]]
  for (const { x, value } of points) {
    if (value !== undefined) runs[runs.length - 1].push({ x, value })
    else if (runs[runs.length - 1].length > 0) runs.push([])
  }
  return runs.filter((run) => run.length > 0)
}

function svg(tag: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  return made
}
