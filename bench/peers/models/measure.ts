import { ROUNDS, type Round } from '../../../dist/bench/rounds.js'
import { boundSpeed, type Speed } from '../../../dist/bench/speed.js'
import type { Rooflines } from '../../../dist/src/measure/rooflines.js'
import { type Summary, summarize } from '../../../dist/src/measure/samples.js'
import { takeTurns } from '../turns.js'
import type { ContenderProcess } from './process.js'
import { randomPrompts } from './prompts.js'
import { lengthOf, type Scenario } from './scenarios.js'
import type { Subject } from './subject.js'

/** The speed of one contender in one scenario. */
export interface Result {
  name: string
  scenario: string
  /** All sequences together, tokens/s. */
  rate: Summary
  /** Its speed and the bound; undefined for too few rounds. */
  speed?: Speed
  /** Durations over those of the first contender, round by round; undefined for too few rounds. */
  timesDotpool?: Summary
}

/**
 * Measures all contenders in the same rounds.
 *
 * @param prompts rounds of a scenario that prefills prompts
 */
export async function measure(
  contenders: readonly ContenderProcess[],
  scenario: Scenario,
  { shape, bits }: Subject,
  rooflines: Rooflines,
  prompts: number,
): Promise<Result[]> {
  const { sequences, prompt, steps } = scenario
  const first = randomPrompts(shape, sequences, prompt)
  for (const { commands } of contenders) {
    await commands.open(sequences, lengthOf(scenario))
    await commands.prefill(first)
  }
  const ways = contenders.map(({ commands }) => {
    let series = 0
    const prefillNew = () => commands.prefill(randomPrompts(shape, sequences, prompt, ++series))
    return {
      sample: async () =>
        steps > 0 ? await commands.decode(steps) : [(await prefillNew()).micros],
    }
  })
  const bound = rooflines[scenario.bound]
  const rounds = await takeTurns(ways, () => bound.sample(), steps > 0 ? ROUNDS : prompts)
  for (const { commands } of contenders) await commands.close()

  const tokens = steps > 0 ? sequences : sequences * prompt
  const enough = rounds[0].length >= ROUNDS
  return contenders.map(({ name, headBits }, i) => ({
    name,
    scenario: scenario.name,
    rate: summarize(rounds[i].flatMap(({ micros }) => micros.map((time) => (tokens / time) * 1e6))),
    ...(enough && {
      speed: boundSpeed(bound.unit, scenario.amount(shape, bits, headBits), rounds[i], bound.name),
    }),
    ...(enough && i > 0 && { timesDotpool: compare(rounds[i], rounds[0]) }),
  }))
}

function compare(rounds: Round[], others: Round[]): Summary {
  return summarize(rounds.map((round, i) => median(round) / median(others[i])))
}

function median({ micros }: Round): number {
  return summarize(micros).median
}
