import { Texts } from '../../dist/src/model/text/texts.js'
import { parseFiles } from '../../dist/src/model/text/thread/parse-documents.js'
import { TextEngine } from '../../dist/src/model/text/thread/text-engine.js'
import { TextInPlace } from '../../dist/src/model/text/thread/text-in-place.js'
import { FILE } from './target.js'

/** @typedef {import('../../dist/src/model/text/thread/text-documents.js').TextDocuments} TextDocuments */

const messages = [
  { role: /** @type {const} */ ('system'), content: ' Be brief. ' },
  {
    role: /** @type {const} */ ('user'),
    content: [{ type: /** @type {const} */ ('text'), text: 'abab é' }],
  },
  { role: /** @type {const} */ ('assistant'), content: '<think>a</think>b' },
]
const call = { id: 'a', function: { name: 'f', arguments: '{"b":[1]}' } }
/** @type {import('../../dist/src/model/text/chat-messages.js').ChatMessage[]} */
const calling = [
  { role: 'user', content: '?' },
  { role: 'assistant', content: null, reasoning_content: 'c', tool_calls: [call] },
  { role: 'tool', tool_call_id: 'a', name: 'f', content: '{}' },
]
const inputs = {
  tools: [{ type: 'function', function: { name: 'f', parameters: { type: ['object', 'null'] } } }],
  templateOptions: { enable_thinking: false, documents: [{ title: 't' }], x: { y: [null, 0.5] } },
}
const sentences = ['', 'abab <|end|> É\u0301 😀', '  a\n\nhey 12345, it\u2019s \ud800 ▁b']

/**
 * Opens texts in this thread, and returns functions that use them.
 *
 * @param {TextDocuments} documents
 */
export function useTexts(documents) {
  const service = new TextInPlace(new TextEngine(documents))
  const { tokenizer, chatTemplate } = new Texts(service, service.callSync({ kind: 'contents' }))
  const encodings = sentences.map((text) => () => tokenizer?.decode(tokenizer.encode(text)))
  if (documents.template === undefined && !hasTemplate(documents.config)) return encodings
  const renderings = [
    () => chatTemplate.render(messages),
    () => chatTemplate.render(calling, inputs),
  ]
  return [...encodings, ...renderings]
}

/** @param {unknown} config */
function hasTemplate(config) {
  return /** @type {{ chat_template?: unknown }} */ (config).chat_template != null
}

/**
 * The same for files of a folder.
 *
 * @param {{ tokenizer?: Uint8Array, config?: Uint8Array, template?: Uint8Array }} files
 */
export function useTextFiles({ tokenizer, config, template }) {
  const source = (/** @type {Uint8Array | undefined} */ bytes) =>
    bytes && { file: FILE, bytes: shared(bytes) }
  const documents = parseFiles({
    format: 'json',
    tokenizer: source(tokenizer),
    config: source(config) ?? { file: FILE, bytes: undefined },
    template: source(template),
  })
  return useTexts(documents)
}

/** @param {Uint8Array} bytes */
function shared(bytes) {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.byteLength))
  copy.set(bytes)
  return copy
}
