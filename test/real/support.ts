import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** PyTorch's float32 results on a real model; `../shared/real/README.md` describes them. */
export interface Reference {
  tokens: number
  first_tokens: number[]
  sha256_of_uint32_le: string
  window: number
  nll_by_window: number[]
  best_of_first_4096: number[]
  best_log_probability: number[]
  next_log_probability_by_window_of_1023: number[]
  chats: { prompt: string; ids: number[]; greedy: number[]; margins: number[] }[]
}

const shared = fileURLToPath(new URL('../../../shared/real', import.meta.url))
const hasReference = existsSync(shared)

/** The model's folder; '' where there is none, and the tests are skipped. */
export const folder = process.env.DOTPOOL_REAL_MODEL ?? ''
export const canRun = hasReference && folder !== ''
export const skipNote = canRun ? '' : ` (skipped: ${whatIsMissing()})`

function whatIsMissing(): string {
  if (!hasReference) return 'no ../shared/real'
  return '`npm run test:real` makes the model with Python 3, or DOTPOOL_REAL_MODEL names its folder'
}

/** Reads PyTorch's results. */
export function readReference(): Reference {
  return JSON.parse(readFileSync(`${shared}/reference.json`, 'utf8'))
}

/** The text that they are about. */
export function readBook(): string {
  return readFileSync(`${shared}/book.txt`, 'utf8')
}
