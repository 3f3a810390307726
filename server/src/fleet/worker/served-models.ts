import type { Model } from 'dotpool'
import type { ModelStore } from '../../models/store.js'
import type { AnnouncedModel } from '../registry/announcement.js'
import { ServedPrefixes } from '../routing/served-prefixes.js'
import { type DescribedModel, describeModel } from './described-model.js'

/** Tokens of prompts that tell a rate, at least. */
const ENOUGH_TOKENS = 64
/** How much what was measured since the last announcement weighs. */
const RATE_WEIGHT = 0.3

/** What is known of a model by its name, loaded or not. */
interface Served {
  readonly described: DescribedModel
  readonly prefixes: ServedPrefixes
  prefillRate: number
  /** What the model's stats told when the rate was last looked at. */
  seen: { readonly model: Model; readonly tokens: number; readonly micros: number } | undefined
}

/** What a worker announces of its models. */
export class ServedModels {
  readonly #store: ModelStore
  /** Of models as they were loaded. */
  readonly #descriptions = new WeakMap<Model, Promise<DescribedModel>>()
  readonly #served = new Map<string, Served>()

  constructor(store: ModelStore) {
    this.#store = store
  }

  /** Finds out what a model is, once for each time that it is loaded. */
  async describe(name: string, model: Model): Promise<DescribedModel> {
    const describing = this.#descriptions.get(model) ?? describeModel(model)
    this.#descriptions.set(model, describing)
    const described = await describing
    if (this.#served.get(name)?.described !== described) {
      const { prefillRate } = described
      const prefixes = new ServedPrefixes()
      this.#served.set(name, { described, prefixes, prefillRate, seen: undefined })
    }
    return described
  }

  /** What was found out of each. */
  get described(): DescribedModel[] {
    return [...this.#served.values()].map(({ described }) => described)
  }

  /** A request with these prefixes was taken. */
  taken(name: string, hashes: readonly number[]): void {
    this.#served.get(name)?.prefixes.add(hashes)
  }

  announce(): AnnouncedModel[] {
    return this.#store.names.flatMap((name) => {
      const served = this.#served.get(name)
      return served === undefined ? [] : [this.#announce(name, served)]
    })
  }

  #announce(name: string, served: Served): AnnouncedModel {
    const { maxContext, waiting } = this.#store.info(name)
    const model = this.#store.loaded.get(name)
    const { fingerprint, texts, decodeRate } = served.described
    const stats = model?.stats()
    if (model !== undefined) measure(served, model)
    const { kvCapacityBytes = 0, kvPageBytes = 1, kvBytes = 0 } = stats ?? {}
    const { maxQueuedTokens } = stats ?? {}
    return {
      ...{ name, fingerprint, texts: texts.digest, maxContext, isLoaded: model !== undefined },
      running: stats?.running ?? 0,
      waiting: stats?.waiting ?? waiting,
      waitingTokens: stats?.queuedTokens ?? 0,
      // where none may wait, only a refusal tells that there is no room
      maxWaiting: Math.max(stats?.maxQueue ?? this.#store.maxWaiting, 1),
      ...(maxQueuedTokens !== undefined && { maxWaitingTokens: maxQueuedTokens }),
      kvBlocks: kvCapacityBytes / kvPageBytes,
      freeKvBlocks: (kvCapacityBytes - kvBytes) / kvPageBytes,
      prefillRate: served.prefillRate,
      decodeRate,
      prefixes: served.prefixes.take(),
    }
  }
}

/** Follows the speed of prompts. */
function measure(served: Served, model: Model): void {
  const { prefillTokens: tokens, prefillMicros: micros } = model.stats()
  const { seen } = served
  if (seen?.model !== model) {
    served.seen = { model, tokens, micros }
    return
  }
  if (tokens - seen.tokens < ENOUGH_TOKENS) return
  const rate = ((tokens - seen.tokens) * 1e6) / Math.max(micros - seen.micros, 1)
  served.prefillRate += RATE_WEIGHT * (rate - served.prefillRate)
  served.seen = { model, tokens, micros }
}
