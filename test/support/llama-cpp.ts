import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const folder = fileURLToPath(
  new URL('../../bench/peers/node_modules/node-llama-cpp', import.meta.url),
)

/** Whether llama.cpp is installed to compare with. */
export const hasLlamaCpp = existsSync(folder)
export const llamaCppNote = hasLlamaCpp
  ? ''
  : ' (skipped: `npm install --prefix bench/peers` brings it)'

const script = fileURLToPath(new URL('llama-cpp-child.js', import.meta.url))

/** Asks what llama.cpp does with a GGUF file. */
export interface Question {
  file: string
  /** Texts to tokenise; special tokens spelled in them become special tokens. */
  texts?: string[]
  /** Prompts to continue greedily, in float32 of the weights as they are. */
  prompts?: number[][]
  /** How many tokens to generate. */
  maxTokens?: number
}

export interface Answer {
  /** The tokens of each text, without those added around it. */
  tokens: number[][]
  /** The token put before a text; undefined where there is none. */
  bos?: number
  /** The token put after a text; undefined where there is none. */
  eos?: number
  /** The tokens generated after each prompt. */
  continuations: number[][]
}

/** Asks llama.cpp, in a process of its own. */
export async function askLlamaCpp(question: Question): Promise<Answer> {
  const run = promisify(execFile)(process.execPath, [script, folder], { maxBuffer: 1 << 28 })
  run.child.stdin?.end(JSON.stringify(question))
  return JSON.parse((await run).stdout)
}
