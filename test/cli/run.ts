import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))

export interface Result {
  /** Exit code, or null where a signal ended the process. */
  code: number | null
  stdout: string
  stderr: string
}

export interface RunOptions {
  env?: Record<string, string>
  /** The content of stdin; nothing by default. */
  input?: string
  /** Interrupts the command, as Ctrl-C does, once it has written to stdout. */
  interrupt?: boolean
  /** Closes stdout after the first output, as `head` does. */
  hangUp?: boolean
}

/** Runs the built command-line program. */
export async function dotpool(
  args: string[],
  { env = {}, input = '', interrupt = false, hangUp = false }: RunOptions = {},
): Promise<Result> {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } })
  child.stdin.end(input)
  const result: Result = { code: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (interrupt && result.stdout === '') child.kill('SIGINT')
    result.stdout += text
    if (hangUp) child.stdout.destroy()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    result.stderr += text
  })
  result.code = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', resolve)
  })
  return result
}
