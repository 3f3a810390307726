import { Bench } from 'tinybench'

/** A summary of samples, in their own unit. */
export interface Summary {
  samples: number
  min: number
  median: number
  p99: number
  max: number
}

/** How long to sample: until both are reached. */
export interface Budget {
  millis: number
  calls: number
}

/** Durations of calls of a synchronous function, one after the other, microseconds. */
export function timeSync(call: () => unknown, budget: Budget): number[] {
  const bench = sampler(budget).add('call', call, { async: false })
  bench.runSync()
  return samplesOf(bench)
}

/** Durations of calls of an asynchronous function, each started when the last has settled, microseconds. */
export async function timeAsync(call: () => Promise<unknown>, budget: Budget): Promise<number[]> {
  const bench = sampler(budget).add('call', call, { async: true })
  await bench.run()
  return samplesOf(bench)
}

function sampler({ millis, calls }: Budget): Bench {
  return new Bench({
    time: millis,
    iterations: calls,
    warmupTime: millis / 10,
    warmupIterations: 1,
    retainSamples: true,
    throws: true,
  })
}

function samplesOf(bench: Bench): number[] {
  const [{ result }] = bench.tasks
  if (!('latency' in result) || result.latency.samples === undefined) {
    throw new Error(`no samples: the benchmark is ${result.state}`)
  }
  return result.latency.samples.map((millis) => millis * 1000)
}

export function summarize(samples: readonly number[]): Summary {
  const sorted = Float64Array.from(samples).sort()
  const quantile = (q: number) => {
    const at = (sorted.length - 1) * q
    const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
    return low + (high - low) * (at % 1)
  }
  return {
    samples: sorted.length,
    min: sorted[0],
    median: quantile(0.5),
    p99: quantile(0.99),
    max: sorted[sorted.length - 1],
  }
}
