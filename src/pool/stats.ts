/** What one worker has done since the pool's start or the last reset. */
export interface WorkerStats {
  /** Parallel regions it took part in. */
  regions: number
  /** Time it ran ops, microseconds. */
  busyMicros: number
  /** Time it spun, waiting for other workers or for the next call, microseconds. */
  waitMicros: number
  /** Units of ops it claimed and ran. */
  tiles: number
  /** Packed weights it read, bytes. */
  weightBytes: number
}

/** What all workers have done, and each of them. */
export interface PoolStats extends WorkerStats {
  /** One entry for each worker thread. */
  workers: WorkerStats[]
  /** The calling thread, where it worked beside them: in `forwardSync`, or while it awaited a result. */
  caller: WorkerStats
}

export const noStats: WorkerStats = {
  regions: 0,
  busyMicros: 0,
  waitMicros: 0,
  tiles: 0,
  weightBytes: 0,
}

/** Combines two counts field by field, e.g. their sum, or the difference since a reset. */
export function combineStats(
  a: WorkerStats,
  b: WorkerStats,
  combine: (a: number, b: number) => number,
): WorkerStats {
  return {
    regions: combine(a.regions, b.regions),
    busyMicros: combine(a.busyMicros, b.busyMicros),
    waitMicros: combine(a.waitMicros, b.waitMicros),
    tiles: combine(a.tiles, b.tiles),
    weightBytes: combine(a.weightBytes, b.weightBytes),
  }
}
