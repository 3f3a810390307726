/**
 * A signal that is aborted when the user presses Ctrl-C, or when nobody reads stdout any more. A
 * second Ctrl-C ends the process as usual.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => {
    process.exitCode = 130
    controller.abort()
  })
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    controller.abort()
  })
  return controller.signal
}
