import type { Tokenizer } from '@huggingface/tokenizers'
import { isObject } from '../../json/fields.js'
import { byteSpellings } from './token-bytes.js'

/**
 * The most UTF-16 units of a text that one token stands for: what tells a text of too many tokens before it is
 * tokenised. Infinity for a tokenizer that may drop or shorten parts of a text, as far as is known here.
 *
 * @param json the parsed tokenizer.json
 */
export function unitsPerToken(json: Record<string, unknown>, tokenizer: Tokenizer): number {
  const normalizers = stepsOf(json.normalizer, 'normalizers')
  const preTokenizers = stepsOf(json.pre_tokenizer, 'pretokenizers')
  const added = [...tokenizer.get_added_tokens_decoder().values()]
  const keepsText =
    normalizers.every(keepsLength) &&
    preTokenizers.every(keepsParts) &&
    !added.some(({ lstrip, rstrip }) => lstrip || rstrip)
  const isByteLevel = preTokenizers.some(({ type }) => type === 'ByteLevel')
  if (!keepsText || !spellsBytes(json.model, tokenizer, isByteLevel)) return Infinity
  let longest = 1
  for (const token of tokenizer.get_vocab().keys()) longest = Math.max(longest, token?.length ?? 0)
  const composes = normalizers.some(({ type }) => type === 'NFC')
  // up to four units become a character, which has at least two bytes, of one letter each where those are spelled
  return longest * (composes ? (isByteLevel ? 2 : 4) : 1)
}

/** The steps of a sequence, or the one that there is. */
function stepsOf(value: unknown, field: string): Record<string, unknown>[] {
  if (!isObject(value)) return []
  const inner = value.type === 'Sequence' ? value[field] : undefined
  return Array.isArray(inner) ? inner.flatMap((step) => stepsOf(step, field)) : [value]
}

/** But for NFC, which counts by itself. */
function keepsLength({ type, pattern, content }: Record<string, unknown>): boolean {
  if (type === 'NFC' || type === 'Prepend') return true
  const replaced = isObject(pattern) ? pattern.String : undefined
  return type === 'Replace' && replaced === ' ' && typeof content === 'string' && content !== ''
}

function keepsParts({ type, behavior, invert }: Record<string, unknown>): boolean {
  if (type !== 'Split') return ['ByteLevel', 'Digits', 'Metaspace'].includes(String(type))
  return String(behavior).toLowerCase() !== 'removed' && !invert
}

/** Whether there is a token for every byte, so that nothing is left out or joined as unknown. */
function spellsBytes(model: unknown, tokenizer: Tokenizer, isByteLevel: boolean): boolean {
  if (!isObject(model) || model.type !== 'BPE' || model.end_of_word_suffix) return false
  if (!isByteLevel && model.byte_fallback !== true) return false
  const spellings = isByteLevel ? byteSpellings.byteLevel : byteSpellings.fallback
  return spellings.every((token) => tokenizer.token_to_id(token) !== undefined)
}
