import { seededRandom } from '../../src/model/generation/random.js'
import { byteSpellings } from '../../src/model/text/thread/token-bytes.js'

/** No language has longer tokens. */
const LONGEST = 12

/**
 * A tokenizer.json of byte-level BPE with random merges, which takes as long to parse as that of a published model.
 *
 * @param size of the vocabulary, at least 256
 */
export function randomTokenizer(size: number): object {
  const random = seededRandom(size)
  const tokens = [...byteSpellings.byteLevel]
  const known = new Set(tokens)
  const merges: [string, string][] = []
  while (tokens.length < size) {
    const pair = [0, 1].map(() => tokens[Math.floor(random() * tokens.length)])
    const token = pair.join('')
    if (token.length > LONGEST || known.has(token)) continue
    known.add(token)
    tokens.push(token)
    merges.push([pair[0], pair[1]])
  }
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: null,
    decoder: bytes,
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((t, id) => [t, id])), merges },
  }
}
