import { array, type Field, string, uint32 } from './gguf-header.js'
import type { ModelShape } from './shapes.js'

/**
 * The minimal tokenizer that node-llama-cpp loads, since it tokenises words before it runs anything: byte-level BPE
 * with a token for each byte, placeholder names for all other tokens, and no usable merges.
 */
export function placeholderTokenizer({ vocabSize, bosTokenId, eosTokenId }: ModelShape): Field[] {
  const spellings = Array.from({ length: vocabSize }, (_, id) =>
    id < 256 ? spellingOf(id) : `<${id}>`,
  )
  return [
    ['tokenizer.ggml.model', string('gpt2')],
    ['tokenizer.ggml.pre', string('gpt-2')],
    ['tokenizer.ggml.tokens', array(spellings.map(string))],
    ['tokenizer.ggml.merges', array([string('< <')])],
    ['tokenizer.ggml.bos_token_id', uint32(bosTokenId)],
    ['tokenizer.ggml.eos_token_id', uint32(eosTokenId)],
  ]
}

/** GPT-2's letter for a byte: itself where it is printable, else the next one from U+0100 on. */
function spellingOf(byte: number): string {
  const printable = (code: number) =>
    (code > 0x20 && code < 0x7f) || (code > 0xa0 && code !== 0xad && code <= 0xff)
  if (printable(byte)) return String.fromCharCode(byte)
  let hidden = 0
  for (let code = 0; code < byte; code++) if (!printable(code)) hidden++
  return String.fromCharCode(0x100 + hidden)
}
