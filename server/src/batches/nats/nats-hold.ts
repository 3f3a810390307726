import { setTimeout } from 'node:timers/promises'
import type { KV } from '@nats-io/kv'
import type { Hold } from '../store.js'
import { isOutdated } from './nats-batches.js'

/** A hold that was not renewed for so long is another's to take. */
export const HOLD_MILLIS = 6000
const RENEW_MILLIS = 1500
/** How often it is tried to take one. */
const TRY_MILLIS = 1000

/** Waits until a key is nobody's, and holds it. @param bucket whose keys live for {@link HOLD_MILLIS} */
export async function hold(bucket: KV, key: string, signal: AbortSignal): Promise<Hold> {
  for (;;) {
    signal.throwIfAborted()
    const revision = await create(bucket, key)
    if (revision !== undefined) return new NatsHold(bucket, key, revision)
    await setTimeout(TRY_MILLIS, undefined, { signal })
  }
}

async function create(bucket: KV, key: string): Promise<number | undefined> {
  try {
    return await bucket.create(key, '')
  } catch (error) {
    if (isOutdated(error)) return undefined
    throw error
  }
}

class NatsHold implements Hold {
  readonly #bucket: KV
  readonly #key: string
  #revision: number
  #renewed = performance.now()
  #renewing: Promise<void> | undefined
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout

  constructor(bucket: KV, key: string, revision: number) {
    this.#bucket = bucket
    this.#key = key
    this.#revision = revision
    this.#timer = setInterval(() => {
      this.#renewing ??= this.#renew().finally(() => {
        this.#renewing = undefined
      })
    }, RENEW_MILLIS)
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    if (this.#lost.signal.aborted) return
    // where this fails, its time is up soon
    await this.#bucket.delete(this.#key, { previousSeq: this.#revision }).catch(() => {})
  }

  async #renew(): Promise<void> {
    const start = performance.now()
    try {
      this.#revision = await this.#bucket.update(this.#key, '', this.#revision)
      this.#renewed = start
    } catch (error) {
      const isOver = performance.now() - this.#renewed > HOLD_MILLIS - RENEW_MILLIS
      if (!isOutdated(error) && !isOver) return
      clearInterval(this.#timer)
      this.#lost.abort(new Error('another gateway may drive the batch now'))
    }
  }
}
