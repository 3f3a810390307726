import { ArgumentError, type Model } from 'dotpool'
import type { BatchStore } from './batches/store.js'
import type { ModelCatalog } from './models/catalog.js'
import type { ModelLoader, Models } from './models/store.js'

/** How dotpool's routes answer. */
export interface RouteOptions {
  /**
   * Models by the names that requests know them by, or what loads them; in a `ModelStore` if their memory is to be
   * bounded, or those of a fleet. The server is not ready until that is.
   */
  models: ModelCatalog | Models | Promise<Models> | Readonly<Record<string, Model | ModelLoader>>
  /**
   * Where files and batches are kept, such as `await FolderStore.open(folder)`: closed with the app. Their routes tell
   * how to turn them on where there is none, the default.
   */
  batches?: BatchStore | undefined
  /** Every route but those of health wants one of these keys. Anybody may ask where there are none, the default. */
  apiKeys?: readonly string[] | undefined
  /**
   * Serves the page at `/`, and that of the routes at `/docs`. A server of its own does by default, the plugin does not:
   * an app may have its own.
   */
  page?: boolean | undefined
  /**
   * What `measureReadBandwidth` of dotpool has measured of the models' pool, bytes per second: a metric beside the bytes
   * of weights that are read. Undefined, the default, leaves it out.
   */
  readBandwidth?: number | undefined
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

/** Whether they are more than models by their names. */
export function isCatalog(models: RouteOptions['models']): models is ModelCatalog {
  return typeof (models as ModelCatalog).acquire === 'function'
}

/** {@link RouteOptions} with their defaults. */
export interface Settings {
  readonly apiKeys: readonly string[]
  readonly page: boolean
  readonly readBandwidth: number | undefined
  readonly maxChoices: number
  readonly requestTimeoutMillis: number
  readonly pingMillis: number
  readonly drainMillis: number
  readonly bodyLimit: number
}

/** Timers of Node.js take no more milliseconds. */
const MOST_SECONDS = Math.floor((2 ** 31 - 1) / 1000)

/** @throws ArgumentError naming an option that is out of range */
export function toSettings(options: RouteOptions): Settings {
  const { requestTimeoutSeconds = 600, pingSeconds = 15, drainSeconds = 30 } = options
  const { apiKeys = [], page = false, readBandwidth } = options
  const { maxChoices = 8, bodyLimit = 2 << 20 } = options
  const seconds = { requestTimeoutSeconds, pingSeconds, drainSeconds }
  for (const [name, value] of Object.entries(seconds)) {
    check(name, value, `a number in [0, ${MOST_SECONDS}]`, value >= 0 && value <= MOST_SECONDS)
  }
  for (const [name, value] of Object.entries({ maxChoices, bodyLimit })) {
    check(name, value, 'a positive integer', Number.isSafeInteger(value) && value > 0)
  }
  if (readBandwidth !== undefined) {
    check('readBandwidth', readBandwidth, 'a positive number', readBandwidth > 0)
  }
  for (const [i, key] of apiKeys.entries()) {
    // an empty one would let in whoever has none
    const isKey = typeof key === 'string' && /^\S+$/.test(key)
    if (!isKey) throw new ArgumentError('apiKeys', 'keys without white space', `another at ${i}`)
  }
  return {
    apiKeys: [...apiKeys],
    page,
    readBandwidth,
    maxChoices,
    requestTimeoutMillis: requestTimeoutSeconds * 1000,
    pingMillis: pingSeconds * 1000,
    drainMillis: drainSeconds * 1000,
    bodyLimit,
  }
}

function check(argument: string, value: unknown, expected: string, isFine: boolean): void {
  if (typeof value === 'number' && isFine) return
  throw new ArgumentError(argument, expected, String(value))
}
