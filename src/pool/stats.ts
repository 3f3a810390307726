/** What one worker has done since the pool started or its statistics were reset. */
export interface WorkerStats {
  /** Parallel regions it took part in. */
  regions: number
  /** Time it ran ops, microseconds. */
  busyMicros: number
  /** Time it spun while it waited for other workers or for the next call, microseconds. */
  waitMicros: number
  /** Units of work, pieces of ops, that it claimed and ran. */
  units: number
  /** Packed weights that it read, bytes. */
  weightBytes: number
}

/** What all workers have done together, and each of them. */
export interface PoolStats extends WorkerStats {
  /** One entry for each worker thread. */
  workers: WorkerStats[]
  /** The calling thread, which runs units in `forwardSync` and while it awaits a result. */
  caller: WorkerStats
}

export const noStats: WorkerStats = {
  regions: 0,
  busyMicros: 0,
  waitMicros: 0,
  units: 0,
  weightBytes: 0,
}

/** Combines two counts field by field, for example to their sum. */
export function combineStats(
  a: WorkerStats,
  b: WorkerStats,
  combine: (a: number, b: number) => number,
): WorkerStats {
  return {
    regions: combine(a.regions, b.regions),
    busyMicros: combine(a.busyMicros, b.busyMicros),
    waitMicros: combine(a.waitMicros, b.waitMicros),
    units: combine(a.units, b.units),
    weightBytes: combine(a.weightBytes, b.weightBytes),
  }
}
