import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Result {
  /** Exit code, or the name of the signal that ended the process. */
  code: number | string | null
  stdout: string
  stderr: string
}

/** A process that does not end by itself is killed after this time: far more than a busy machine needs. */
const LIMIT = 100_000

/** Runs an ES module in a Node process of its own. A process that had to be killed has the code SIGKILL. */
export async function runScript(
  source: string,
  { env = {}, flags = [] }: RunOptions = {},
): Promise<Result> {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', source], {
    cwd: root,
    env: { ...process.env, ...env },
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  })
  const result: Result = { code: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    result.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    result.stderr += text
  })
  result.code = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(code ?? signal))
  })
  return result
}

export interface RunOptions {
  env?: Record<string, string>
  /** Options for Node itself. */
  flags?: string[]
}
