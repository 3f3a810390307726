import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Result {
  /** Exit code, or the name of the signal that ended the process. */
  code: number | string | null
  stdout: string
  stderr: string
  millis: number
}

/**
 * Runs an ES module in a Node process of its own. One that does not end by itself is killed after
 * `limit` milliseconds; then `code` is SIGKILL.
 */
export async function runScript(
  source: string,
  { env = {}, flags = [], limit = 10_000 }: RunOptions = {},
): Promise<Result> {
  const start = performance.now()
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', source], {
    cwd: root,
    env: { ...process.env, ...env },
    timeout: limit,
    killSignal: 'SIGKILL',
  })
  const result: Result = { code: null, stdout: '', stderr: '', millis: 0 }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    result.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    result.stderr += text
  })
  result.code = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code, signal) => resolve(code ?? signal))
  })
  result.millis = performance.now() - start
  return result
}

export interface RunOptions {
  env?: Record<string, string>
  /** Node's own. */
  flags?: string[]
  limit?: number
}
