import { EventEmitter } from 'node:events'
import type { NatsConnection } from '@nats-io/transport-node'

/** Tells when a connection is back that was lost: what was watched by it may have missed something. */
export class Restored {
  readonly #events = new EventEmitter<{ restored: [] }>()

  constructor(connection: NatsConnection) {
    this.#events.setMaxListeners(0)
    void this.#follow(connection)
  }

  /** Calls with each time that it is back. Returns what ends that. */
  on(listener: () => void): () => void {
    this.#events.on('restored', listener)
    return () => {
      this.#events.off('restored', listener)
    }
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'reconnect') this.#events.emit('restored')
    }
  }
}
