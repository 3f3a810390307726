import { randomInt } from 'node:crypto'
import { InvalidArgumentError, program } from 'commander'

const integer = (/** @type {string} */ text) => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected an integer')
  return Number(text)
}

/**
 * What the command line says, and prints the seed.
 *
 * @returns {{ minutes: number, seed: number }}
 */
export function readOptions() {
  program
    .option('--minutes <n>', 'how long to run', Number, 3)
    .option('--seed <n>', 'repeats the choices of an earlier run', integer, randomInt(2 ** 31))
    .parse()
  /** @type {{ minutes: number, seed: number }} */
  const options = program.opts()
  console.log(`seed ${options.seed}`)
  return options
}
