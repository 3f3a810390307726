import { Chart, type ChartOptions, SPAN_MILLIS } from './chart.js'
import type { Figures } from './figures.js'
import { digits, percent, seconds } from './numbers.js'

const options: readonly ChartOptions[] = [
  {
    title: 'Tokens per second',
    series: [{ name: '', mark: 'line', of: ({ tokensPerSecond }) => tokensPerSecond }],
    format: digits,
    top: 10,
  },
  {
    title: 'Requests',
    series: [
      { name: 'running', mark: 'line', of: ({ running }) => running },
      { name: 'waiting', mark: 'line', of: ({ waiting }) => waiting },
    ],
    format: digits,
    top: 4,
  },
  {
    title: 'KV cache in use',
    series: [{ name: '', mark: 'line', of: ({ kvUse }) => kvUse }],
    format: percent,
    top: 0.01,
  },
  {
    title: 'Time to first token',
    series: [{ name: '', mark: 'dots', of: ({ firstTokenMillis }) => firstTokenMillis }],
    format: seconds,
    top: 100,
  },
  {
    title: 'Read bandwidth in use',
    series: [{ name: '', mark: 'line', of: ({ bandwidthUse }) => bandwidthUse }],
    format: percent,
    top: 1,
  },
]

/** Where a pointer is farther from all that was read, it points at nothing. */
const NEAR_MILLIS = 3000

/** All charts, over the same time: what a pointer is at in one is told by all. */
export class Charts {
  readonly #charts = options.map((each) => new Chart(each))
  #history: Figures[] = []
  #position: number | undefined

  readonly #time: HTMLElement

  /** @param time tells when what is told was */
  constructor(parent: HTMLElement, time: HTMLElement) {
    this.#time = time
    for (const chart of this.#charts) {
      parent.append(chart.element)
      chart.element.addEventListener('pointermove', (event) => this.#point(chart.positionOf(event)))
      chart.element.addEventListener('pointerleave', () => this.#point(undefined))
    }
    this.#draw()
  }

  add(figures: Figures): void {
    const oldest = figures.at - SPAN_MILLIS
    this.#history = [...this.#history.filter(({ at }) => at >= oldest), figures]
    this.#draw()
  }

  clear(): void {
    this.#history = []
    this.#draw()
  }

  #point(position: number | undefined): void {
    this.#position = position
    this.#draw()
  }

  #draw(): void {
    const pointed = this.#pointed
    const newest = this.#history.at(-1)
    this.#time.textContent =
      pointed === undefined || newest === undefined
        ? `last ${SPAN_MILLIS / 60_000} minutes`
        : `${Math.round((newest.at - pointed.at) / 1000)} s ago`
    for (const chart of this.#charts) chart.draw(this.#history, pointed)
  }

  get #pointed(): Figures | undefined {
    const newest = this.#history.at(-1)
    if (this.#position === undefined || newest === undefined) return undefined
    const at = newest.at - (1 - this.#position) * SPAN_MILLIS
    const distance = (figures: Figures) => Math.abs(figures.at - at)
    const nearest = this.#history.reduce((a, b) => (distance(b) < distance(a) ? b : a))
    return distance(nearest) < NEAR_MILLIS ? nearest : undefined
  }
}
