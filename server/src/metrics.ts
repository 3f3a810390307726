import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  type DiagnosticsMessages,
  type Model,
  type Pool,
  QueueFullError,
  type RequestAdmittedMessage,
  type RequestFinishedMessage,
  type RequestFirstTokenMessage,
  type WorkerDeathMessage,
} from 'dotpool'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { ApiError, toApiError } from './errors.js'
import type { ModelCatalog } from './models/catalog.js'
import type { LocalModels } from './models/local-models.js'
import { secondsToRoom } from './models/room.js'

const labelNames = ['model_name']

// vLLM's buckets, so that its dashboards work
const latencies = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960]
const firstTokens = [
  ...[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75],
  ...[1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640],
]
const gaps = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const tokenCounts = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
  ...[10_000, 20_000, 50_000, 100_000],
]

const finishedReasons = { stop: 'stop', length: 'length', context: 'length', aborted: 'abort' }

/** How much the last request weighs in the mean time of requests. */
const MEAN_WEIGHT = 0.1

/** What Prometheus reads: by the names that vLLM has, which gateways and dashboards know, and dotpool's own. */
export class Metrics {
  readonly #registry = new Registry()
  /** Models that run here; others are measured where they run. */
  readonly #store: LocalModels
  /** The names of models, also of those that are unloaded. */
  readonly #names = new WeakMap<object, string>()
  /** Of models that were unloaded: their totals go on. */
  readonly #totals: { read: (model: Model) => number; before: Map<string, number> }[] = []
  /** Those whose workers are counted. */
  readonly #pools = new Set<Pool>()
  /** The mean time of a request, seconds. */
  #meanSeconds = 1

  readonly #promptTokens = this.#counter('vllm:prompt_tokens_total', 'Tokens of prompts')
  readonly #generatedTokens = new Counter({
    name: 'vllm:generation_tokens_total',
    help: 'Sampled tokens',
    labelNames,
    registers: [this.#registry],
    collect: () => {
      for (const [model_name, model] of this.#store.loaded) {
        this.#count(model, { model_name })
      }
    },
  })
  /** The sampled tokens of models that are counted. */
  readonly #counted = new WeakMap<Model, number>()
  readonly #prefixQueries = this.#counter(
    'vllm:prefix_cache_queries_total',
    'Tokens that were looked for in the prefix cache',
  )
  readonly #prefixHits = this.#counter(
    'vllm:prefix_cache_hits_total',
    'Tokens that were found in the prefix cache',
  )
  readonly #finished = new Counter({
    name: 'vllm:request_success_total',
    help: 'Requests that have ended, by their finish reason',
    labelNames: [...labelNames, 'finished_reason'],
    registers: [this.#registry],
  })
  readonly #lines = new Counter({
    name: 'dotpool_batch_lines_total',
    help: 'Lines of batches that were run here, by whether they went well',
    labelNames: [...labelNames, 'success'],
    registers: [this.#registry],
  })
  readonly #deaths = this.#counter('dotpool_worker_deaths_total', 'Worker threads that died')
  readonly #firstToken = this.#histogram(
    'vllm:time_to_first_token_seconds',
    'From the call to the first token',
    firstTokens,
  )
  readonly #gap = this.#histogram(
    'vllm:inter_token_latency_seconds',
    'Between two tokens, as they are sent',
    gaps,
  )
  readonly #latency = this.#histogram(
    'vllm:e2e_request_latency_seconds',
    'From the call to its end',
    latencies,
  )
  readonly #queueTime = this.#histogram(
    'vllm:request_queue_time_seconds',
    'From the call to its admission',
    latencies,
  )
  readonly #prefillTime = this.#histogram(
    'vllm:request_prefill_time_seconds',
    'From the admission to the first token',
    latencies,
  )
  readonly #decodeTime = this.#histogram(
    'vllm:request_decode_time_seconds',
    'From the first token to the end',
    latencies,
  )
  readonly #promptLength = this.#histogram(
    'vllm:request_prompt_tokens',
    'Tokens of a prompt',
    tokenCounts,
  )
  readonly #answerLength = this.#histogram(
    'vllm:request_generation_tokens',
    'Sampled tokens of a request',
    tokenCounts,
  )

  /** @param readBandwidth of the models' pool, bytes per second */
  constructor(catalog: ModelCatalog, readBandwidth: number | undefined) {
    this.#store = catalog.local
    collectDefaultMetrics({ register: this.#registry })
    this.#gauge('vllm:num_requests_running', 'Requests that run', (m) => m.stats().running)
    this.#gauge(
      'vllm:num_requests_waiting',
      'Requests that wait, for memory or for the model to be loaded',
      (m) => m.stats().waiting,
      (name) => this.#store.info(name).waiting,
    )
    this.#gauge('dotpool_model_loaded', 'Whether a model is loaded', () => 1)
    this.#gauge('dotpool_queued_tokens', 'Tokens of prompts that wait to be computed', (m) => {
      return m.stats().queuedTokens
    })
    this.#gauge('vllm:kv_cache_usage_perc', 'Used part of the KV cache, 0 to 1', (m) => {
      const { kvBytes, kvCapacityBytes } = m.stats()
      return kvBytes / kvCapacityBytes
    })
    this.#total('vllm:num_preemptions_total', 'Requests that lost their pages', (model) => {
      return model.stats().preemptions
    })
    this.#total('dotpool_steps_total', 'Steps of the network', (model) => model.stats().steps)
    this.#total('dotpool_step_seconds_total', 'Time in which steps ran', (model) => {
      return model.stats().micros / 1e6
    })
    if (readBandwidth !== undefined) this.#addReadBandwidth(readBandwidth)
    this.#addCacheInfo()
    this.#addWorkerTotals()
    catalog.addMetrics(this.#registry)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** All of them, as Prometheus reads them. */
  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  observeGap(model: string, millis: number): void {
    this.#gap.observe({ model_name: model }, millis / 1000)
  }

  /** Begins to listen to dotpool's diagnostics. Returns what ends it. */
  listen(): () => void {
    const { events } = this.#store
    const onUnloaded = ({ name, model }: { name: string; model: Model }) => {
      this.#onUnloaded(name, model)
    }
    const onLine = ({ name, isSuccess }: { name: string; isSuccess: boolean }) => {
      this.#lines.inc({ model_name: name, success: String(isSuccess) })
    }
    events.on('unloaded', onUnloaded)
    events.on('line', onLine)
    const stops = [
      () => events.off('unloaded', onUnloaded),
      () => events.off('line', onLine),
      this.#on('dotpool:request:admitted', (message) => this.#onAdmitted(message)),
      this.#on('dotpool:request:first-token', (message) => this.#onFirstToken(message)),
      this.#on('dotpool:request:finished', (message) => this.#onFinished(message)),
      this.#on('dotpool:worker:death', (message) => this.#onDeath(message)),
    ]
    return () => {
      for (const stop of stops) stop()
    }
  }

  /** The error; where the queue is full, with the time after which there is likely room. */
  withRetryAfter(error: unknown, name: string): unknown {
    if (!(error instanceof QueueFullError)) return error
    const { statusCode, message, code } = toApiError(error)
    const stats = this.#store.loaded.get(name)?.stats()
    const retryAfterSeconds = stats === undefined ? 1 : secondsToRoom(stats, this.#meanSeconds)
    return new ApiError(statusCode, message, { code, retryAfterSeconds })
  }

  #on<Name extends keyof DiagnosticsMessages>(
    name: Name,
    listener: (message: DiagnosticsMessages[Name]) => void,
  ): () => void {
    const onMessage = (message: unknown) => listener(message as DiagnosticsMessages[Name])
    subscribe(name, onMessage)
    return () => {
      unsubscribe(name, onMessage)
    }
  }

  #onAdmitted({ model, promptTokens, cachedTokens, millis }: RequestAdmittedMessage): void {
    const labels = this.#labelsOf(model)
    if (labels === undefined) return
    this.#count(model as Model, labels)
    this.#queueTime.observe(labels, millis / 1000)
    this.#prefixQueries.inc(labels, promptTokens)
    this.#prefixHits.inc(labels, cachedTokens)
    this.#promptTokens.inc(labels, promptTokens)
  }

  #onFirstToken({ model, queueMillis, millis }: RequestFirstTokenMessage): void {
    const labels = this.#labelsOf(model)
    if (labels === undefined) return
    this.#firstToken.observe(labels, millis / 1000)
    this.#prefillTime.observe(labels, (millis - queueMillis) / 1000)
  }

  #onFinished(message: RequestFinishedMessage): void {
    const labels = this.#labelsOf(message.model)
    if (labels === undefined) return
    const { finishReason, promptTokens, completionTokens } = message
    const { queueMillis, firstTokenMillis, millis } = message
    const finished_reason = finishReason === undefined ? 'error' : finishedReasons[finishReason]
    this.#finished.inc({ ...labels, finished_reason })
    if (queueMillis === undefined) return // never admitted
    this.#count(message.model as Model, labels)
    this.#promptLength.observe(labels, promptTokens)
    this.#answerLength.observe(labels, completionTokens)
    this.#latency.observe(labels, millis / 1000)
    this.#meanSeconds += MEAN_WEIGHT * (millis / 1000 - this.#meanSeconds)
    if (firstTokenMillis === undefined) return
    this.#decodeTime.observe(labels, (millis - firstTokenMillis) / 1000)
  }

  /** Counts what was sampled since its last call: from a model's first request on, for it was run before to warm it. */
  #count(model: Model, labels: { model_name: string }): void {
    const { sampledTokens } = model.stats()
    this.#generatedTokens.inc(labels, sampledTokens - (this.#counted.get(model) ?? sampledTokens))
    this.#counted.set(model, sampledTokens)
  }

  #onDeath({ pool }: WorkerDeathMessage): void {
    for (const [model_name, model] of this.#store.loaded) {
      if (model.pool === pool) this.#deaths.inc({ model_name })
    }
  }

  /** Of a model that is served here. */
  #labelsOf(model: object): { model_name: string } | undefined {
    for (const [name, loaded] of this.#store.loaded) this.#names.set(loaded, name)
    const name = this.#names.get(model)
    return name === undefined ? undefined : { model_name: name }
  }

  #onUnloaded(name: string, model: Model): void {
    this.#count(model, { model_name: name })
    for (const { read, before } of this.#totals) {
      before.set(name, (before.get(name) ?? 0) + read(model))
    }
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.#registry] })
  }

  /** What each model is asked for when the metrics are read. @param unloaded of one that is not loaded */
  #gauge(
    name: string,
    help: string,
    read: (model: Model) => number,
    unloaded: (name: string) => number = () => 0,
  ): void {
    const store = this.#store
    new Gauge({
      ...{ name, help, labelNames, registers: [this.#registry] },
      collect() {
        const { names, loaded } = store
        for (const model_name of names) {
          const model = loaded.get(model_name)
          this.set({ model_name }, model === undefined ? unloaded(model_name) : read(model))
        }
      },
    })
  }

  /** What each model has counted itself. */
  #total(name: string, help: string, read: (model: Model) => number): void {
    const store = this.#store
    const before = new Map<string, number>()
    this.#totals.push({ read, before })
    new Counter({
      ...{ name, help, labelNames, registers: [this.#registry] },
      collect() {
        this.reset()
        const { names, loaded } = store
        for (const model_name of names) {
          const model = loaded.get(model_name)
          const now = model === undefined ? 0 : read(model)
          this.inc({ model_name }, (before.get(model_name) ?? 0) + now)
        }
      },
    })
  }

  #addReadBandwidth(readBandwidth: number): void {
    new Gauge({
      name: 'dotpool_read_bandwidth_bytes_per_second',
      help: 'How fast workers read memory together, measured at the start',
      registers: [this.#registry],
    }).set(readBandwidth)
  }

  #addCacheInfo(): void {
    const store = this.#store
    new Gauge({
      name: 'vllm:cache_config_info',
      help: 'Tokens of a page of the KV cache, and how many pages there are',
      labelNames: [...labelNames, 'block_size', 'num_gpu_blocks'],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [model_name, model] of store.loaded) {
          const { kvPageBytes, kvCapacityBytes } = model.stats()
          const block_size = kvPageBytes / model.cacheBytes
          this.set({ model_name, block_size, num_gpu_blocks: kvCapacityBytes / kvPageBytes }, 1)
        }
      },
    })
  }

  /** Of the pools, which models may share. */
  #addWorkerTotals(): void {
    const store = this.#store
    const pools = this.#pools
    const add = (name: string, help: string, read: (stats: ReturnType<Pool['stats']>) => number) =>
      new Counter({
        ...{ name, help, registers: [this.#registry] },
        collect() {
          this.reset()
          for (const { pool } of store.loaded.values()) pools.add(pool)
          for (const pool of pools) this.inc(read(pool.stats()))
        },
      })
    add('dotpool_worker_busy_seconds_total', 'Time in which workers ran ops', (stats) => {
      return stats.busyMicros / 1e6
    })
    add('dotpool_worker_wait_seconds_total', 'Time in which workers spun', (stats) => {
      return stats.waitMicros / 1e6
    })
    add('dotpool_weight_bytes_total', 'Bytes of weights that workers read', (stats) => {
      return stats.weightBytes
    })
  }
}
