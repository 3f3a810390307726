import {
  ArgumentError,
  type ChatTemplate,
  type EmbedOptions,
  type Texts,
  type Tokenizer,
} from 'dotpool'
import type {
  Origin,
  ServedGeneration,
  ServedModel,
  ServedOptions,
} from '../../models/served-model.js'
import { RemoteEmbedding } from './remote-embedding.js'
import { RemoteGeneration } from './remote-generation.js'
import type { Variant, WorkParts } from './remote-work.js'

/** A model that workers of a fleet run. Its texts are here. */
export class RemoteModel implements ServedModel {
  readonly #parts: Omit<WorkParts, 'origin'>
  readonly texts: Texts

  constructor(parts: Omit<WorkParts, 'origin'>, texts: Texts) {
    this.#parts = parts
    this.texts = texts
  }

  get variant(): Variant {
    return this.#parts.variant
  }

  get maxContext(): number {
    return this.#parts.variant.maxContext
  }

  get tokenizer(): Tokenizer {
    const { tokenizer } = this.texts
    if (tokenizer !== undefined) return tokenizer
    const got = `text for ${this.#parts.variant.name}`
    throw new ArgumentError('prompt', 'tokens, for there is no tokenizer.json', got)
  }

  get chatTemplate(): ChatTemplate {
    return this.texts.chatTemplate
  }

  generate(prompt: ArrayLike<number>, options: ServedOptions, origin: Origin): ServedGeneration {
    return new RemoteGeneration({ ...this.#parts, origin }, prompt, options)
  }

  async embed(
    texts: readonly ArrayLike<number>[],
    options: EmbedOptions,
    origin: Origin,
  ): Promise<Float32Array[]> {
    return await new RemoteEmbedding({ ...this.#parts, origin }, texts, options).vectors()
  }
}
