import type { EventEmitter } from 'node:events'

/** A message as it comes. */
export interface Message {
  readonly subject: string
  readonly payload: Uint8Array
}

/** What comes on the subjects of a subscription. */
export interface Handlers {
  onMessage(message: Message): void
  /** Nobody listens where a message was published that named a subject of this subscription for its replies. */
  onNobody?(subject: string): void
}

export interface Subscription {
  end(): void
}

export interface TransportEvents {
  /** The connection is gone. Messages are lost until it is back. */
  lost: []
  /** It is back, and so are all subscriptions. */
  restored: []
  /** Something failed that no call tells of; the transport goes on. */
  failed: [error: unknown]
}

/**
 * Carries messages between the members of a fleet. What a member publishes arrives in its order, or not at all; messages
 * of any size are carried. Subjects are words with dots between; a subscription may have `*` for any word.
 */
export interface Transport {
  readonly isConnected: boolean
  readonly events: EventEmitter<TransportEvents>
  /** @param reply where `onNobody` tells that nobody listens to this subject */
  publish(subject: string, payload: Uint8Array, reply?: string): void
  subscribe(subject: string, handlers: Handlers): Subscription
  /** Values by key that live until they are deleted, or were not put anew for so long. */
  bucket(name: string, ttlMillis: number): Bucket
  /** Values by key that stay. */
  blobs(name: string): Blobs
  close(): Promise<void>
}

export interface Bucket {
  /** Makes it where it is not there. @throws why that cannot be */
  open(): Promise<void>
  put(key: string, value: Uint8Array): Promise<void>
  delete(key: string): Promise<void>
  /**
   * Tells all values that there are, and each that is put or deleted, until it is ended; some more than once. It does not
   * tell those whose time is up.
   *
   * @param onChange of a value that was deleted, undefined
   */
  watch(onChange: (key: string, value: Uint8Array | undefined) => void): Subscription
}

export interface Blobs {
  has(key: string): Promise<boolean>
  put(key: string, value: Uint8Array): Promise<void>
  /** Undefined where there is none. */
  get(key: string): Promise<Uint8Array | undefined>
}
