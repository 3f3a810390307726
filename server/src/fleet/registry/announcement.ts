import { type Static, Type } from '@fastify/type-provider-typebox'
import { Compile } from 'typebox/compile'

const count = Type.Integer({ minimum: 0 })
const rate = Type.Number({ exclusiveMinimum: 0 })

const ModelSchema = Type.Object({
  name: Type.String({ minLength: 1 }),
  /** Models of the same give the same bits. */
  fingerprint: Type.String(),
  /** The digest of what its checkpoint says about text. */
  texts: Type.String(),
  maxContext: Type.Integer({ minimum: 1 }),
  /** False where the first request loads it. */
  isLoaded: Type.Boolean(),
  running: count,
  waiting: count,
  waitingTokens: count,
  /** Requests that may wait. */
  maxWaiting: count,
  /** Tokens that may wait; any number where it is left out. */
  maxWaitingTokens: Type.Optional(count),
  /** Pages of the KV cache, and how many of them nobody holds. */
  kvBlocks: count,
  freeKvBlocks: count,
  /** Tokens of prompts in a second. */
  prefillRate: rate,
  /** Tokens of an answer in a second, where it runs alone. */
  decodeRate: rate,
  /** Hashes of prefixes that it was given since the last announcement. */
  prefixes: Type.Array(count),
})

const AnnouncementSchema = Type.Object({
  /** The machine's name, for the log. */
  host: Type.String(),
  /** It takes nothing new, and leaves once it has finished. */
  isDraining: Type.Boolean(),
  models: Type.Array(ModelSchema),
})

/** What a worker says of a model. */
export type AnnouncedModel = Static<typeof ModelSchema>

/** What a worker says of itself. */
export type Announcement = Static<typeof AnnouncementSchema>

/** What a worker says is gone unless it says so anew within this time. */
export const LIFE_MILLIS = 3000
/** How often it does. */
export const REFRESH_MILLIS = 1000

const validator = Compile(AnnouncementSchema)

/** Undefined for what is none. */
export function readAnnouncement(payload: Uint8Array): Announcement | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload))
    return validator.Check(value) ? (value as Announcement) : undefined
  } catch {
    return undefined
  }
}
