import type { TextAnswers, TextKind, TextRequest, TextService } from './service.js'
import type { TextEngine } from './text-engine.js'

/** Works on the texts of a checkpoint in the caller's own thread, where there is no file to run another with. */
export class TextInPlace implements TextService {
  readonly #engine: TextEngine

  constructor(engine: TextEngine) {
    this.#engine = engine
  }

  async call<Kind extends TextKind>(
    request: TextRequest<Kind>,
    signal?: AbortSignal,
  ): Promise<TextAnswers[Kind]> {
    signal?.throwIfAborted()
    return this.#engine.answer(request)
  }

  callSync<Kind extends TextKind>(request: TextRequest<Kind>): TextAnswers[Kind] {
    return this.#engine.answer(request)
  }

  async end(): Promise<void> {}
}
