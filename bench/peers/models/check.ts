import type { ContenderProcess } from './process.js'

/**
 * A share of the prompts. Random weights make some tokens almost equally likely, and every contender quantises
 * activations differently; a wrong implementation finds none of a hundred thousand tokens.
 */
const LEAST_AGREEMENT = 0.5

/**
 * Makes sure that all run the same model.
 *
 * @param prompts of equal lengths
 * @returns how many of the prompts each continues as the first does
 * @throws Error naming the first contender that agrees on too few
 */
export async function checkAgreement(
  contenders: readonly ContenderProcess[],
  prompts: readonly number[][],
): Promise<Agreement> {
  const found: number[][] = []
  for (const { commands } of contenders) {
    await commands.open(prompts.length, prompts[0].length + 1)
    found.push((await commands.prefill([...prompts])).tokens)
    await commands.close()
  }
  const agreeing: Record<string, number> = {}
  for (const [i, { name }] of contenders.entries()) {
    agreeing[name] = found[i].filter((token, j) => token === found[0][j]).length
    if (agreeing[name] < LEAST_AGREEMENT * prompts.length) {
      throw new Error(
        `${name} continues ${agreeing[name]} of ${prompts.length} prompts as ${contenders[0].name} does`,
      )
    }
  }
  return { prompts: prompts.length, agreeing }
}

export interface Agreement {
  prompts: number
  /** How many of them each continues as the first does, by name. */
  agreeing: Record<string, number>
}
