import type { ChatTemplate, EmbedOptions, GenerateOptions, Generation, Tokenizer } from 'dotpool'

/** Where work comes from, for logs and traces of another process that does it. */
export interface Origin {
  /** The request's id. */
  readonly id: string
  /** The span that asks for the work: the headers of W3C's trace context, if there is one. */
  readonly trace: Readonly<Record<string, string>>
}

/** What routes ask of a model: what can be said to another process. */
export type ServedOptions = Omit<
  GenerateOptions,
  'processors' | 'resumeAfter' | 'tools' | 'templateOptions'
>

/** What routes read of a text that is generated. */
export type ServedGeneration = Pick<Generation, 'chunks' | 'result' | 'return'>

/**
 * What routes use of a model: tokens in, chunks out, and its texts. A `Model` of dotpool is one as it is; that of a fleet
 * runs in another process.
 */
export interface ServedModel {
  /** The most tokens of prompt and answer together. */
  readonly maxContext: number
  readonly tokenizer: Tokenizer
  readonly chatTemplate: ChatTemplate
  /** As `Model.generate`, of tokens. */
  generate(prompt: ArrayLike<number>, options: ServedOptions, origin: Origin): ServedGeneration
  /** As `Model.embed`, of tokens. */
  embed(
    texts: readonly ArrayLike<number>[],
    options: EmbedOptions,
    origin: Origin,
  ): Promise<Float32Array[]>
}
