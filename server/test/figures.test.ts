import fc from 'fast-check'
import { Counter, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { FigureReader } from '../page/figures.js'
import { Scrape } from '../page/prometheus.js'

/** What `/metrics` says of counters and gauges. */
function metricsOf(values: Record<string, number>): string {
  return Object.entries(values)
    .map(
      ([name, value]) =>
        `# HELP ${name} x\n# TYPE ${name} counter\n${name}{model_name="m"} ${value}\n`,
    )
    .join('\n')
}

describe('a scrape', () => {
  it('reads what prom-client writes, whatever the labels are', async () => {
    const name = fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'n', '}', ',', '=', ' ', 'é') })
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(name), fc.nat(), async (models, value) => {
        const registry = new Registry()
        const labelNames = ['kind', 'model_name']
        const counter = new Counter({ name: 'c:d', help: 'x', labelNames, registers: [registry] })
        for (const model_name of models) counter.inc({ kind: 'a', model_name }, value)
        const scrape = new Scrape(await registry.metrics(), 0)
        for (const model of models) expect(scrape.sum('c:d', model)).toBe(value)
        expect(scrape.sum('c:d')).toBe(models.length > 0 ? models.length * value : undefined)
      }),
    )
  })

  it('reads infinities, small numbers and samples without labels', () => {
    const scrape = new Scrape('a +Inf\nb 1e-7\nc{le="+Inf"} 3\n# d 4\n', 0)
    expect(['a', 'b', 'c', 'd'].map((name) => scrape.sum(name))).toEqual([
      Number.POSITIVE_INFINITY,
      1e-7,
      3,
      undefined,
    ])
  })
})

describe('figures', () => {
  const read = (...scrapes: Record<string, number>[]) => {
    const reader = new FigureReader()
    const all = scrapes.map((values, i) =>
      reader.read(new Scrape(metricsOf(values), i * 2000), 'm'),
    )
    return all[all.length - 1]
  }
  const tokens = (value: number) => ({ 'vllm:generation_tokens_total': value })
  const firstTokens = (count: number, sum: number) => ({
    'vllm:time_to_first_token_seconds_count': count,
    'vllm:time_to_first_token_seconds_sum': sum,
  })
  const steps = (seconds: number, bytes: number) => ({
    dotpool_step_seconds_total: seconds,
    dotpool_weight_bytes_total: bytes,
    dotpool_read_bandwidth_bytes_per_second: 100,
  })

  it('are the rise of counters in the time between two scrapes', () => {
    expect(read(tokens(10), tokens(50)).tokensPerSecond).toBe(20)
    expect(read(firstTokens(1, 1), firstTokens(3, 2)).firstTokenMillis).toBe(500)
  })

  it('count from zero what was not there before', () => {
    expect(read({}, tokens(50)).tokensPerSecond).toBe(25)
  })

  it('are none of the first scrape, of a server that began anew, and where nothing came', () => {
    expect(read(tokens(10)).tokensPerSecond).toBeUndefined()
    expect(read(tokens(10), tokens(5)).tokensPerSecond).toBeUndefined()
    expect(read(firstTokens(1, 1), firstTokens(1, 1)).firstTokenMillis).toBeUndefined()
  })

  it('compare the bytes of weights with what could have been read while steps ran', () => {
    expect(read(steps(1, 0), steps(2, 50)).bandwidthUse).toBe(0.5)
    expect(read(steps(1, 50), steps(1, 50)).bandwidthUse).toBe(0)
  })

  it('take a step that is longer than the time between scrapes as a whole', () => {
    expect(read(steps(1, 0), steps(1, 100), steps(1, 200), steps(4, 240)).bandwidthUse).toBe(0.8)
  })

  it('have no use of a bandwidth that was not measured', () => {
    const unmeasured = (seconds: number) => ({ dotpool_step_seconds_total: seconds })
    expect(read(unmeasured(1), unmeasured(2)).bandwidthUse).toBeUndefined()
  })
})
