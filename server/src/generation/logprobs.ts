import type { Tokenizer, TokenLogprobs } from 'dotpool'
import type { ChatLogprobs } from '../schemas/chat.js'
import type { CompletionLogprobs } from '../schemas/completions.js'

/** JSON has no infinity. */
const LEAST = -9999

export function toChatLogprobs(
  tokenizer: Tokenizer,
  logprobs: readonly TokenLogprobs[],
): ChatLogprobs {
  return { content: toTokenLogprobs(tokenizer, logprobs), refusal: null }
}

/** Of each token, with the likeliest ones. */
export function toTokenLogprobs(
  tokenizer: Tokenizer,
  logprobs: readonly TokenLogprobs[],
): ChatLogprobs['content'] {
  const tell = (token: number, logprob: number) => {
    const bytes = tokenizer.bytesOf(token)
    return { token: toText(bytes), logprob: Math.max(logprob, LEAST), bytes: [...bytes] }
  }
  return logprobs.map(({ token, logprob, top }) => ({
    ...tell(token, logprob),
    top_logprobs: top.map(({ token, logprob }) => tell(token, logprob)),
  }))
}

/** @param offset where the first token begins in the text */
export function toCompletionLogprobs(
  tokenizer: Tokenizer,
  logprobs: readonly TokenLogprobs[],
  offset: number,
): CompletionLogprobs {
  const told: CompletionLogprobs = {
    tokens: [],
    token_logprobs: [],
    top_logprobs: [],
    text_offset: [],
  }
  for (const { token, logprob, top } of logprobs) {
    const text = toText(tokenizer.bytesOf(token))
    told.tokens.push(text)
    told.token_logprobs.push(Math.max(logprob, LEAST))
    told.top_logprobs.push(
      Object.fromEntries(
        top.map(({ token, logprob }) => [
          toText(tokenizer.bytesOf(token)),
          Math.max(logprob, LEAST),
        ]),
      ),
    )
    told.text_offset.push(offset)
    offset += text.length
  }
  return told
}

function toText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
