import type { Model } from 'dotpool'
import type { Models } from './service.js'

/** How dotpool's routes answer. */
export interface RouteOptions {
  /** Models by the names that requests know them by. Until a promise of them resolves, the server is not ready. */
  models: Models | Promise<Models> | Readonly<Record<string, Model>>
  /** Every route but those of health wants one of these keys. Anybody may ask where there are none, the default. */
  apiKeys?: readonly string[] | undefined
  /** The most choices of one request: `n`, times its prompts. 8 by default. */
  maxChoices?: number | undefined
  /** A request that takes longer is ended. 600 by default. */
  requestTimeoutSeconds?: number | undefined
  /** How often a stream without a token sends a comment, so that proxies keep it open. 15 by default. */
  pingSeconds?: number | undefined
  /** How long requests that run may take when the server closes. 30 by default. */
  drainSeconds?: number | undefined
  /** The largest body, bytes. 2 MiB by default. */
  bodyLimit?: number | undefined
}

/** {@link RouteOptions} with their defaults. */
export interface Settings {
  readonly apiKeys: readonly string[]
  readonly maxChoices: number
  readonly requestTimeoutMillis: number
  readonly pingMillis: number
  readonly drainMillis: number
  readonly bodyLimit: number
}

export function toSettings(options: RouteOptions): Settings {
  const { requestTimeoutSeconds = 600, pingSeconds = 15, drainSeconds = 30 } = options
  return {
    apiKeys: options.apiKeys ?? [],
    maxChoices: options.maxChoices ?? 8,
    requestTimeoutMillis: requestTimeoutSeconds * 1000,
    pingMillis: pingSeconds * 1000,
    drainMillis: drainSeconds * 1000,
    bodyLimit: options.bodyLimit ?? 2 << 20,
  }
}
