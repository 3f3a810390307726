import { Counter, Gauge, type Registry } from 'prom-client'
import type { Choice } from '../routing/router.js'
import type { Gateway } from './gateway.js'

/** How an attempt has ended. */
export type AttemptEnd = 'completed' | 'failed' | 'refused' | 'lost' | 'cancelled'

const ends: readonly AttemptEnd[] = ['completed', 'failed', 'refused', 'lost', 'cancelled']

/**
 * What a gateway counts. Names of its own, not vLLM's: workers count the same requests by those, and a sum over a fleet
 * must not count them twice.
 */
export class GatewayMetrics {
  readonly #attempts = new Counter({
    name: 'dotpool_gateway_attempts_total',
    help: 'Requests that were sent to a worker, by what became of them there',
    labelNames: ['model_name', 'worker', 'outcome'],
    registers: [],
  })
  readonly #retries = new Counter({
    name: 'dotpool_gateway_retries_total',
    help: 'Requests that another worker was given before the first had told anything',
    labelNames: ['model_name'],
    registers: [],
  })
  readonly #resumes = new Counter({
    name: 'dotpool_gateway_resumes_total',
    help: 'Requests that another worker was given to go on with',
    labelNames: ['model_name'],
    registers: [],
  })
  readonly #promptTokens = new Counter({
    name: 'dotpool_gateway_prompt_tokens_total',
    help: 'Tokens of prompts that were sent',
    labelNames: ['model_name'],
    registers: [],
  })
  readonly #cachedTokens = new Counter({
    name: 'dotpool_gateway_prefix_hit_tokens_total',
    help: 'Those that the worker was expected to have in its cache',
    labelNames: ['model_name'],
    registers: [],
  })
  readonly #missedTokens = new Counter({
    name: 'dotpool_gateway_prefix_forced_miss_tokens_total',
    help: 'Those that only a worker had in its cache that was too busy',
    labelNames: ['model_name'],
    registers: [],
  })
  readonly #gauges: readonly Gauge[]

  constructor(gateway: Gateway) {
    this.#gauges = [
      new Gauge({
        name: 'dotpool_gateway_workers',
        help: 'Workers of a model',
        labelNames: ['model_name'],
        registers: [],
        collect() {
          this.reset()
          for (const { announcement } of gateway.workers.values()) {
            for (const { name } of announcement.models) this.inc({ model_name: name })
          }
        },
      }),
      new Gauge({
        name: 'dotpool_gateway_attempts_in_flight',
        help: 'Requests that workers have now',
        labelNames: ['worker'],
        registers: [],
        collect() {
          this.reset()
          for (const { worker } of gateway.attempts) this.inc({ worker })
        },
      }),
      new Gauge({
        name: 'dotpool_gateway_connected',
        help: 'Whether there is a connection to the fleet',
        registers: [],
        collect() {
          this.set(gateway.isConnected ? 1 : 0)
        },
      }),
    ]
    // a series for each worker that ever was would be a leak
    gateway.events.on('left', ({ id, announcement }) => {
      for (const { name } of announcement.models) {
        for (const outcome of ends) this.#attempts.remove({ model_name: name, worker: id, outcome })
      }
    })
  }

  addTo(registry: Registry): void {
    const counters = [this.#attempts, this.#retries, this.#resumes, this.#promptTokens]
    for (const metric of [...counters, this.#cachedTokens, this.#missedTokens, ...this.#gauges]) {
      registry.registerMetric(metric)
    }
  }

  sent(model_name: string, promptTokens: number, { cachedTokens, missedTokens }: Choice): void {
    this.#promptTokens.inc({ model_name }, promptTokens)
    this.#cachedTokens.inc({ model_name }, cachedTokens)
    this.#missedTokens.inc({ model_name }, missedTokens)
  }

  ended(model_name: string, worker: string, outcome: AttemptEnd): void {
    this.#attempts.inc({ model_name, worker, outcome })
  }

  /** Another worker is given a request. @param hasTold the last had told something */
  retried(model_name: string, hasTold: boolean): void {
    const counter = hasTold ? this.#resumes : this.#retries
    counter.inc({ model_name })
  }
}
