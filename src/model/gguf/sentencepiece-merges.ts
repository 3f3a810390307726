import { TokenKind, type Vocabulary } from './vocabulary.js'

/**
 * The merges with which byte-pair encoding finds SentencePiece's tokens: two neighbours become a token if their
 * concatenation is one, the token of the highest score first. Trained vocabularies have no equal scores; on ties, the
 * lower id goes first here, while SentencePiece takes the leftmost.
 *
 * @returns pairs, the first to merge first
 */
export function sentencePieceMerges(vocabulary: Vocabulary): [string, string][] {
  const { tokens } = vocabulary
  const scores = vocabulary.scores()
  const idOf = new Map<string, number>()
  for (const [id, token] of tokens.entries()) {
    const kind = vocabulary.kindOf(id)
    if (kind !== TokenKind.control && kind !== TokenKind.byte && kind !== TokenKind.unknown) {
      idOf.set(token, id)
    }
  }
  const byScore = [...idOf.values()].sort((a, b) => scores[b] - scores[a] || a - b)
  // a character needs no token of its own
  const isPiece = (text: string) => idOf.has(text) || [...text].length === 1
  const merges: [string, string][] = []
  for (const id of byScore) {
    const characters = [...tokens[id]]
    let left = ''
    for (const character of characters.slice(0, -1)) {
      left += character
      const right = tokens[id].slice(left.length)
      if (isPiece(left) && isPiece(right)) merges.push([left, right])
    }
  }
  return merges
}
