import { SingleBar } from 'cli-progress'

/**
 * Shows a bar on stderr while `work` runs, if stderr is a terminal.
 *
 * @param label names the work
 * @param work receives a function to call with the amount done so far, and the total
 */
export async function withProgressBar<T>(
  label: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}%`,
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
  })
  bar.start(1, 0)
  try {
    return await work((done, total) => {
      bar.setTotal(total)
      bar.update(done)
    })
  } finally {
    bar.stop()
  }
}
