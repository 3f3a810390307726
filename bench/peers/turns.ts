import { setTimeout } from 'node:timers/promises'
import { ROUNDS, type Round } from '../../dist/bench/rounds.js'
import type { Way } from './contender.js'

/** OpenMP's threads spin this long, in a process of their own. */
const SETTLE_MILLIS = 50
/** onnxruntime's threads spin for an unknown time: idle time is measured in windows, one after the other. */
const WINDOW_MILLIS = 10
/** CPU time of a quiet process, of one core's time. */
const QUIET = 0.2

/**
 * Lets all contenders take turns, and measures the bound after each: within a round the state of the machine is the
 * same, and each sample lies between two measurements of the bound.
 *
 * @param measureBound measures the bound, a rate
 * @param count of rounds
 * @returns the rounds of each
 */
export async function takeTurns(
  ways: readonly Pick<Way, 'sample'>[],
  measureBound: () => number,
  count = ROUNDS,
): Promise<Round[][]> {
  const rounds: Round[][] = ways.map(() => [])
  let before = measureBound()
  for (let i = 0; i < count; i++) {
    for (const [j, way] of ways.entries()) {
      const micros = await way.sample()
      await settle()
      const after = measureBound()
      rounds[j].push({ micros, bound: (before + after) / 2 })
      before = after
    }
  }
  return rounds
}

/** Waits until threads that spin after their work have gone to sleep. */
export async function settle(): Promise<void> {
  await setTimeout(SETTLE_MILLIS)
  let share: number
  do {
    const [start, usage] = [performance.now(), process.cpuUsage()]
    await setTimeout(WINDOW_MILLIS)
    const { user, system } = process.cpuUsage(usage)
    share = (user + system) / 1e3 / (performance.now() - start)
  } while (share > QUIET)
}
