export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What a server's metrics say at one time. */
export class Scrape {
  readonly #samples = new Map<string, Sample[]>()
  /** When it was read, milliseconds. */
  readonly at: number

  /** @param text in Prometheus' text format */
  constructor(text: string, at: number) {
    this.at = at
    for (const line of text.split('\n')) {
      const [, name, labels, value] = LINE.exec(line) ?? []
      if (name === undefined) continue
      const sample = { labels: readLabels(labels ?? ''), value: readNumber(value) }
      const samples = this.#samples.get(name)
      if (samples === undefined) this.#samples.set(name, [sample])
      else samples.push(sample)
    }
  }

  /** The sum of the samples with that name, and that model where one is named; undefined where there are none. */
  sum(name: string, model?: string): number | undefined {
    const samples = this.#samples
      .get(name)
      ?.filter(({ labels }) => model === undefined || labels.model_name === model)
    if (samples === undefined || samples.length === 0) return undefined
    return samples.reduce((sum, { value }) => sum + value, 0)
  }
}

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? +(\S+)/

function readLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
  return Object.fromEntries(pairs.map(([, name, value]) => [name, toText(value)]))
}

function toText(text: string): string {
  return text.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter))
}

function readNumber(text: string): number {
  return Number(text.replace('Inf', 'Infinity'))
}
