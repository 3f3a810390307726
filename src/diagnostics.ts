import { channel } from 'node:diagnostics_channel'

/*
 * The channels of node:diagnostics_channel on which dotpool publishes what happens inside; docs/diagnostics.md is their
 * page for users. Check `hasSubscribers` before you build a message, so that a channel without subscribers costs
 * nothing.
 *
 * Messages contain the Pool or Model itself, to be compared or to be a key of a WeakMap. Its type is `object`, because
 * this file is below both classes.
 */

/** Published on `dotpool:worker:death` when a worker thread died. */
export interface WorkerDeathMessage {
  /** The Pool of the worker. */
  readonly pool: object
  /** The worker's number, from 0 to `pool.threads` - 1. */
  readonly worker: number
  /** Why it died, usually an Error. */
  readonly cause: unknown
}

/** Published on `dotpool:worker:recovery` when a new thread has replaced one that died. */
export interface WorkerRecoveryMessage {
  /** The Pool of the worker. */
  readonly pool: object
  /** The worker's number, which the new thread takes over. */
  readonly worker: number
  /** The time since the death, milliseconds. */
  readonly millis: number
}

/** Published on `dotpool:load` when a checkpoint is loaded. */
export interface LoadMessage {
  /** The Model. */
  readonly model: object
  /** The Pool that runs the model. */
  readonly pool: object
  /** The folder or file that the caller named. */
  readonly path: string
  /** The size of its weights in memory, bytes. */
  readonly weightBytes: number
  /** The time that loading took, milliseconds. */
  readonly millis: number
}

/** Published on `dotpool:step` when a step has ended: one run of the network on tokens of several requests. */
export interface StepMessage {
  /** The Model. */
  readonly model: object
  /** The number of requests that had tokens in the step. */
  readonly requests: number
  /** The number of tokens that it computed, those of prompts included. */
  readonly tokens: number
  /** The time since it was submitted, milliseconds. */
  readonly millis: number
  /** Why it failed; undefined if it did not. */
  readonly error: unknown
}

/** Published on `dotpool:request:admitted` when a request has pages of the KV cache for its prompt. */
export interface RequestAdmittedMessage {
  /** The Model. */
  readonly model: object
  /** Identifies the request; the same object as in {@link RequestFinishedMessage}. */
  readonly request: object
  readonly promptTokens: number
  /** How many of them were in the KV cache already, because an earlier request began with the same tokens. */
  readonly cachedTokens: number
  /** The time that it waited, milliseconds. */
  readonly millis: number
}

/** Published on `dotpool:request:first-token` when the first token of a request was sampled. */
export interface RequestFirstTokenMessage {
  /** The Model. */
  readonly model: object
  /** Identifies the request; the same object as in {@link RequestFinishedMessage}. */
  readonly request: object
  /** The time from the call until it was admitted, milliseconds. */
  readonly queueMillis: number
  /** The time since the call, milliseconds. */
  readonly millis: number
}

/** Published on `dotpool:request:finished` when a request has ended. */
export interface RequestFinishedMessage {
  /** The Model. */
  readonly model: object
  /** Identifies the request; the same object as in {@link RequestAdmittedMessage}. */
  readonly request: object
  /** Why it ended; undefined if it failed. */
  readonly finishReason: 'stop' | 'length' | 'context' | 'aborted' | undefined
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** The time from the call until it was admitted, milliseconds; undefined if it was not. */
  readonly queueMillis: number | undefined
  /** The time from the call until its first token was sampled, milliseconds; undefined if none was. */
  readonly firstTokenMillis: number | undefined
  /** The time since the call, milliseconds. */
  readonly millis: number
  /** Why it failed; undefined if it did not. */
  readonly error: unknown
}

/** The type of the messages of each channel. */
export interface DiagnosticsMessages {
  'dotpool:load': LoadMessage
  'dotpool:request:admitted': RequestAdmittedMessage
  'dotpool:request:finished': RequestFinishedMessage
  'dotpool:request:first-token': RequestFirstTokenMessage
  'dotpool:step': StepMessage
  'dotpool:worker:death': WorkerDeathMessage
  'dotpool:worker:recovery': WorkerRecoveryMessage
}

/** A channel, for its publisher. */
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
export const requestFirstTokenChannel = declare('dotpool:request:first-token')
export const stepChannel = declare('dotpool:step')
export const workerDeathChannel = declare('dotpool:worker:death')
export const workerRecoveryChannel = declare('dotpool:worker:recovery')
