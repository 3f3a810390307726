import type { Scrape } from './prometheus.js'

/** What the charts show of one time; undefined where there is nothing to tell. */
export interface Figures {
  /** Milliseconds. */
  readonly at: number
  readonly tokensPerSecond: number | undefined
  readonly running: number | undefined
  readonly waiting: number | undefined
  /** Used part of the KV cache. */
  readonly kvUse: number | undefined
  /** The mean of the requests that had their first token since, milliseconds. */
  readonly firstTokenMillis: number | undefined
  /** Weights read in the time of steps, as a part of the read bandwidth. */
  readonly bandwidthUse: number | undefined
}

/** Makes figures of counters, from one scrape to the next. */
export class FigureReader {
  #last: Scrape | undefined
  /** The last in which steps had come to an end: longer ones than the time between scrapes end in few. */
  #lastStep: Scrape | undefined

  /** @param model of which the figures tell; bandwidth is the machine's */
  read(scrape: Scrape, model: string): Figures {
    const last = this.#last ?? scrape
    this.#last = scrape
    const rise = (name: string, since = last, of: string | undefined = model) => {
      const [before, now] = [since.sum(name, of) ?? 0, scrape.sum(name, of)]
      // a counter has no sample before it counts, and begins anew with its server
      return now === undefined || now < before ? undefined : now - before
    }
    const tokens = rise('vllm:generation_tokens_total')
    const time = (scrape.at - last.at) / 1000
    const firstTokens = rise('vllm:time_to_first_token_seconds_count')
    const firstTokenTime = rise('vllm:time_to_first_token_seconds_sum')
    return {
      at: scrape.at,
      tokensPerSecond: tokens === undefined || time === 0 ? undefined : tokens / time,
      running: scrape.sum('vllm:num_requests_running', model),
      waiting: scrape.sum('vllm:num_requests_waiting', model),
      kvUse: scrape.sum('vllm:kv_cache_usage_perc', model),
      firstTokenMillis: firstTokens ? ((firstTokenTime ?? 0) / firstTokens) * 1000 : undefined,
      bandwidthUse: this.#bandwidthUse(scrape),
    }
  }

  #bandwidthUse(scrape: Scrape): number | undefined {
    const since = this.#lastStep ?? scrape
    const rise = (name: string) => (scrape.sum(name) ?? 0) - (since.sum(name) ?? 0)
    const bandwidth = scrape.sum('dotpool_read_bandwidth_bytes_per_second')
    const time = rise('dotpool_step_seconds_total')
    if (time === 0 && since !== scrape) return bandwidth && 0
    this.#lastStep = scrape
    if (bandwidth === undefined || time <= 0) return undefined
    return rise('dotpool_weight_bytes_total') / time / bandwidth
  }
}
