import { type JetStreamClient, StorageType } from '@nats-io/jetstream'
import { type ObjectStore, Objm } from '@nats-io/obj'
import type { Blobs } from '../transport.js'
import { firstOf } from './first-of.js'

/** A bucket of JetStream's object store. */
export class NatsBlobs implements Blobs {
  readonly #objm: Objm
  readonly #name: string
  readonly #replicas: readonly number[]

  /** @param replicas servers that are to have it, and fewer where there are not so many */
  constructor(client: JetStreamClient, name: string, replicas: readonly number[]) {
    this.#replicas = replicas
    this.#objm = new Objm(client)
    this.#name = name
  }

  async has(key: string): Promise<boolean> {
    const info = await (await this.#open()).info(key)
    return info !== null && !info.deleted
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await (await this.#open()).putBlob({ name: key }, value)
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await (await this.#open()).getBlob(key)) ?? undefined
  }

  /** Makes it where it is not there. */
  #open(): Promise<ObjectStore> {
    return firstOf(this.#replicas, (replicas) =>
      this.#objm.create(this.#name, { storage: StorageType.File, replicas }),
    )
  }
}
