import { SingleBar } from 'cli-progress'

/**
 * Shows a bar on stderr while `work` runs, where stderr is a terminal.
 *
 * @param label what is being done
 * @param work is given a function to call with what is done so far, and all there is to do
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
