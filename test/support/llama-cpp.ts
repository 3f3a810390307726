import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const folder = fileURLToPath(
  new URL('../../bench/peers/node_modules/node-llama-cpp', import.meta.url),
)

/** Whether llama.cpp is there to compare with. */
export const hasLlamaCpp = existsSync(folder)
export const llamaCppNote = hasLlamaCpp
  ? ''
  : ' (skipped: `npm install --prefix bench/peers` brings it)'

const script = fileURLToPath(new URL('llama-cpp-child.js', import.meta.url))

/** What llama.cpp does with a GGUF file. */
export interface Question {
  file: string
  /** Texts to tokenise; special tokens that they spell become theirs. */
  texts?: string[]
  /** Prompts to continue greedily, in float32 of the weights as they are. */
  prompts?: number[][]
  /** So many tokens. */
  maxTokens?: number
}

export interface Answer {
  /** Of each text, without what is put around it. */
  tokens: number[][]
  /** Put before a text; undefined where nothing is. */
  bos?: number
  /** Put after a text; undefined where nothing is. */
  eos?: number
  /** After each prompt. */
  continuations: number[][]
}

/** Asks llama.cpp, in a process of its own. */
export async function askLlamaCpp(question: Question): Promise<Answer> {
  const run = promisify(execFile)(process.execPath, [script, folder], { maxBuffer: 1 << 28 })
  run.child.stdin?.end(JSON.stringify(question))
  return JSON.parse((await run).stdout)
}
