import { Fields } from '../../json/fields.js'
import { JinjaTemplate } from './jinja-template.js'
import type { TextAnswers, TextContents, TextKind, TextRequest } from './service.js'
import { parseSpecialTokens } from './special-tokens.js'
import type { TextDocuments } from './text-documents.js'
import { TokenEncoder } from './token-encoder.js'

/** The tokenizer and the chat template of a checkpoint, in whichever thread. */
export class TextEngine {
  readonly #encoder: TokenEncoder | undefined
  readonly #template: JinjaTemplate | undefined
  readonly #contents: Omit<TextContents, 'tokens'>
  readonly #files: TextDocuments['files']

  /** @throws FormatError naming the file that is broken, or of a kind that this version does not know */
  constructor(documents: TextDocuments) {
    const { tokenizer, config, configFile, templateFile, eosTokenIds } = documents
    if (tokenizer !== undefined) {
      this.#encoder = TokenEncoder.parse(documents.tokenizerFile, tokenizer)
    }
    const { values } = new Fields(configFile, config)
    const specialTokens = parseSpecialTokens(configFile, values)
    const template = documents.template ?? values.chat_template ?? undefined
    if (template !== undefined) {
      this.#template = JinjaTemplate.parse(templateFile, template, specialTokens)
    }
    this.#files = documents.files
    this.#contents = { hasTemplate: template !== undefined, templateFile, eosTokenIds }
  }

  /** @throws what the work throws */
  answer<Kind extends TextKind>(request: TextRequest<Kind>): TextAnswers[Kind]
  answer(request: TextRequest): TextAnswers[TextKind] {
    if (request.kind === 'contents') return { ...this.#contents, tokens: this.#encoder?.table() }
    if (request.kind === 'files') return this.#files()
    if (request.kind === 'render') return (this.#template as JinjaTemplate).render(request)
    return (this.#encoder as TokenEncoder).encode(request.text, request.addSpecialTokens)
  }
}
