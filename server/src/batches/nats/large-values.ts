import type { ObjectStore } from '@nats-io/obj'
import { headers, type MsgHdrs, type NatsConnection, nuid } from '@nats-io/transport-node'

/** The object that holds what a message was too small for. */
const OBJECT = 'Dotpool-Object'
/** Bytes of a message that headers and the subject may take. */
const AROUND = 4096

/** A value as a message carries it. */
export interface Carried {
  readonly data: Uint8Array
  readonly headers: MsgHdrs
}

/** Carries values of any size by messages: those that are too large lie in an object store. */
export class LargeValues {
  readonly #connection: NatsConnection
  readonly #objects: ObjectStore

  constructor(connection: NatsConnection, objects: ObjectStore) {
    this.#connection = connection
    this.#objects = objects
  }

  /** @param batchId whose value it is, until {@link delete} */
  async pack(batchId: string, value: unknown): Promise<Carried> {
    const data = Buffer.from(JSON.stringify(value))
    const carried = headers()
    const { max_payload: most = 1 << 20 } = this.#connection.info ?? {}
    if (data.length + AROUND <= most) return { data, headers: carried }
    const name = `${batchId}.${nuid.next()}`
    await this.#objects.putBlob({ name }, data)
    carried.set(OBJECT, name)
    return { data: new Uint8Array(), headers: carried }
  }

  /** @throws where its object is gone */
  async unpack<Value>({
    data,
    headers,
  }: {
    data: Uint8Array
    headers?: MsgHdrs | undefined
  }): Promise<Value> {
    const name = headers?.get(OBJECT)
    if (!name) return JSON.parse(Buffer.from(data).toString('utf8'))
    const object = await this.#objects.getBlob(name)
    if (object === null) throw new Error(`the object ${name} of a batch is gone`)
    return JSON.parse(Buffer.from(object).toString('utf8'))
  }

  /** Deletes all objects of a batch. */
  async delete(batchId: string): Promise<void> {
    for (const { name } of await this.#objects.list()) {
      if (name.startsWith(`${batchId}.`)) await this.#objects.delete(name)
    }
  }
}
