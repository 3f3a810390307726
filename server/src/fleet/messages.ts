import { type Static, type TSchema, Type } from '@fastify/type-provider-typebox'
import { Compile } from 'typebox/compile'

/*
 * What gateways and workers say to each other: JSON, with tokens and vectors in base64. Members of other versions may know
 * more fields, so those that are not known are let be.
 */

const word = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })
const count = Type.Integer({ minimum: 0 })
/** JSON has no infinity. */
const float = Type.Union([Type.Number(), Type.Enum(['-Infinity', 'Infinity', 'NaN'])])

/** What all work has in common. */
const work = {
  /** The try of a request, of which there may be several; whatever is told of the work names it. */
  attempt: word,
  gateway: word,
  /** The request's id, for the log. */
  request: Type.String({ maxLength: 256 }),
  model: Type.String(),
  /** The fingerprint of the only weights that will do; any will where there is none. */
  fingerprint: Type.Optional(Type.String()),
  /** Headers of W3C's trace context. */
  trace: Type.Record(Type.String(), Type.String()),
}

const GenerateSchema = Type.Object({
  ...work,
  /** Tokens: uint32 in base64. */
  prompt: Type.String(),
  options: Type.Object({
    maxTokens: Type.Optional(Type.Integer()),
    sampling: Type.Object({
      temperature: Type.Optional(Type.Number()),
      topK: Type.Optional(Type.Number()),
      topP: Type.Optional(Type.Number()),
      minP: Type.Optional(Type.Number()),
      repetitionPenalty: Type.Optional(Type.Number()),
      frequencyPenalty: Type.Optional(Type.Number()),
      presencePenalty: Type.Optional(Type.Number()),
      logitBias: Type.Optional(Type.Record(Type.String(), float)),
      seed: Type.Integer(),
    }),
    stop: Type.Optional(Type.Array(Type.String())),
    ignoreEnd: Type.Optional(Type.Boolean()),
    logprobs: Type.Optional(Type.Integer()),
    responseFormat: Type.Optional(Type.Unknown()),
  }),
  /** The same for texts that are taken all, or none. */
  group: Type.Optional(word),
  /** Tokens of the answer that the gateway has, in base64: what follows is told. */
  resumeAfter: Type.Optional(Type.String()),
})
export type GenerateMessage = Static<typeof GenerateSchema>

const EmbedSchema = Type.Object({
  ...work,
  /** Tokens of each text: uint32 in base64. */
  texts: Type.Array(Type.String()),
  dimensions: Type.Optional(Type.Integer()),
})
export type EmbedMessage = Static<typeof EmbedSchema>

const CancelSchema = Type.Object({ attempt: word })
export type CancelMessage = Static<typeof CancelSchema>

/** Whether the reader has room for more. */
const FlowSchema = Type.Object({ attempt: word, isPaused: Type.Boolean() })
export type FlowMessage = Static<typeof FlowSchema>

/**
 * A gateway lives, and waits for these attempts of a worker and no others. They end where it has not said so for a while.
 * The worker answers with those that it does not know.
 */
const LeaseSchema = Type.Object({ gateway: word, attempts: Type.Array(word) })
export type LeaseMessage = Static<typeof LeaseSchema>

const LeaseAnswerSchema = Type.Object({ unknown: Type.Array(word) })
export type LeaseAnswer = Static<typeof LeaseAnswerSchema>

const LogprobSchema = Type.Object({
  token: count,
  logprob: float,
  top: Type.Array(Type.Object({ token: count, logprob: float })),
})
const ChunkSchema = Type.Object({
  text: Type.String(),
  tokens: Type.Array(count),
  logprobs: Type.Optional(Type.Array(LogprobSchema)),
})
export type WireChunk = Static<typeof ChunkSchema>

const WireErrorSchema = Type.Union([
  Type.Object({
    kind: Type.Literal('argument'),
    argument: Type.String(),
    expected: Type.String(),
    got: Type.String(),
  }),
  Type.Object({
    kind: Type.Literal('api'),
    status: Type.Integer(),
    message: Type.String(),
    param: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
    retryAfterSeconds: Type.Optional(Type.Number()),
  }),
])
export type WireError = Static<typeof WireErrorSchema>

const ResultSchema = Type.Object({
  /** What follows the text of all tokens. */
  text: Type.String(),
  finishReason: Type.Enum(['stop', 'length', 'context', 'aborted']),
  usage: Type.Object({ promptTokens: count, cachedTokens: count, completionTokens: count }),
  queueMillis: Type.Number(),
})
export type WireResult = Static<typeof ResultSchema>

/** What a worker tells of an attempt: chunks, and at its end a result, vectors or an error. */
const TellSchema = Type.Object({
  /** 0 of the first message of an attempt, 1 of the next. */
  sequence: count,
  /** Of the model that does the work, with the first message. */
  fingerprint: Type.Optional(Type.String()),
  chunks: Type.Optional(Type.Array(ChunkSchema)),
  result: Type.Optional(ResultSchema),
  /** float32 in base64. */
  vectors: Type.Optional(Type.Array(Type.String())),
  error: Type.Optional(WireErrorSchema),
})
export type TellMessage = Static<typeof TellSchema>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encode(message: object): Uint8Array {
  return encoder.encode(JSON.stringify(message))
}

/** Reads messages of a kind; undefined for what is none. */
function reader<Schema extends TSchema>(
  schema: Schema,
): (payload: Uint8Array) => Static<Schema> | undefined {
  const validator = Compile(schema)
  return (payload) => {
    try {
      const message: unknown = JSON.parse(decoder.decode(payload))
      return validator.Check(message) ? (message as Static<Schema>) : undefined
    } catch {
      return undefined
    }
  }
}

export const readGenerate = reader(GenerateSchema)
export const readEmbed = reader(EmbedSchema)
export const readCancel = reader(CancelSchema)
export const readFlow = reader(FlowSchema)
export const readLease = reader(LeaseSchema)
export const readLeaseAnswer = reader(LeaseAnswerSchema)
export const readTell = reader(TellSchema)

export type WireFloat = Static<typeof float>

export function toWireFloat(value: number): WireFloat {
  return Number.isFinite(value) ? value : (String(value) as WireFloat)
}

export function encodeTokens(tokens: ArrayLike<number>): string {
  const { buffer } = Uint32Array.from(tokens)
  return Buffer.from(buffer).toString('base64')
}

export function decodeTokens(text: string): Uint32Array {
  return new Uint32Array(bytesOf(text))
}

export function encodeVector({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

export function decodeVector(text: string): Float32Array {
  return new Float32Array(bytesOf(text))
}

/** Whole words of 4 bytes, in memory of their own. */
function bytesOf(text: string): ArrayBuffer {
  const bytes = Buffer.from(text, 'base64')
  return Uint8Array.from(bytes.subarray(0, bytes.length & ~3)).buffer
}
