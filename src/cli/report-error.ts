import { DotpoolError } from '../errors.js'

/**
 * Prints an error as one line and lets the process end with exit code 1. Errors that are neither the library's nor the
 * system's are bugs of this program and keep their stack.
 */
export function reportError(error: unknown): void {
  if (!isExpected(error)) throw error
  console.error(`error: ${error.message.replace(/\s*\n\s*/g, ' ')}`)
  process.exitCode = 1
}

function isExpected(error: unknown): error is Error {
  return error instanceof DotpoolError || (error instanceof Error && 'syscall' in error)
}
