import { channel } from 'node:diagnostics_channel'

/*
 * What dotpool tells of itself on channels of node:diagnostics_channel. A message is made only where somebody listens:
 * whoever publishes asks `hasSubscribers` first, so that a channel costs nothing otherwise. docs/diagnostics.md is the
 * page for users.
 *
 * Pools and models are named by themselves, to be compared and to be keys of a WeakMap; they are objects here, for
 * this file knows none of the classes.
 */

/** A worker thread died: on `dotpool:worker:death`. */
export interface WorkerDeathMessage {
  /** The Pool that it belonged to. */
  readonly pool: object
  /** Its number, below `pool.threads`. */
  readonly worker: number
  /** What ended it, usually an Error. */
  readonly cause: unknown
}

/** A new thread serves in the place of one that died: on `dotpool:worker:recovery`. */
export interface WorkerRecoveryMessage {
  /** The Pool that it belongs to. */
  readonly pool: object
  /** The number that both threads have in common. */
  readonly worker: number
  /** Since the death, milliseconds. */
  readonly millis: number
}

/** A checkpoint was loaded: on `dotpool:load`. */
export interface LoadMessage {
  /** The Model. */
  readonly model: object
  /** The Pool that runs it. */
  readonly pool: object
  /** The folder or file, as the caller gave it. */
  readonly path: string
  /** Its weights in memory, bytes. */
  readonly weightBytes: number
  /** What loading took, milliseconds. */
  readonly millis: number
}

/** A step has ended, in which every running request had some of its tokens computed: on `dotpool:step`. */
export interface StepMessage {
  /** The Model. */
  readonly model: object
  /** Requests that had tokens in it. */
  readonly requests: number
  /** Tokens that it computed, those of prompts among them. */
  readonly tokens: number
  /** Since it was submitted, milliseconds. */
  readonly millis: number
  /** Why it failed; undefined if it did not. */
  readonly error: unknown
}

/** A request got memory for its prompt's keys and values: on `dotpool:request:admitted`. */
export interface RequestAdmittedMessage {
  /** The Model. */
  readonly model: object
  /** The same object as when the request finishes. */
  readonly request: object
  readonly promptTokens: number
  /** How many of these need not be computed, for another request began with the same. */
  readonly cachedTokens: number
  /** How long it waited, milliseconds. */
  readonly millis: number
}

/** A request ended: on `dotpool:request:finished`. */
export interface RequestFinishedMessage {
  /** The Model. */
  readonly model: object
  /** The same object as when the request was admitted. */
  readonly request: object
  /** Why it ended; undefined where `error` says it. */
  readonly finishReason: 'stop' | 'length' | 'context' | 'aborted' | undefined
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** Since the request was made, milliseconds. */
  readonly millis: number
  /** Why it failed; undefined if it did not. */
  readonly error: unknown
}

/** What is published, by the name of the channel. */
export interface DiagnosticsMessages {
  'dotpool:load': LoadMessage
  'dotpool:request:admitted': RequestAdmittedMessage
  'dotpool:request:finished': RequestFinishedMessage
  'dotpool:step': StepMessage
  'dotpool:worker:death': WorkerDeathMessage
  'dotpool:worker:recovery': WorkerRecoveryMessage
}

/** A channel as its publisher knows it. */
export interface DiagnosticsChannel<Message> {
  readonly hasSubscribers: boolean
  publish(message: Message): void
}

function declare<Name extends keyof DiagnosticsMessages>(
  name: Name,
): DiagnosticsChannel<DiagnosticsMessages[Name]> {
  return channel(name)
}

export const loadChannel = declare('dotpool:load')
export const requestAdmittedChannel = declare('dotpool:request:admitted')
export const requestFinishedChannel = declare('dotpool:request:finished')
export const stepChannel = declare('dotpool:step')
export const workerDeathChannel = declare('dotpool:worker:death')
export const workerRecoveryChannel = declare('dotpool:worker:recovery')
