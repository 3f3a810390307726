import { Environment } from '@huggingface/jinja'
import { strftime } from './strftime.js'
import { stripFunctions } from './strip-characters.js'

/** What a template throws at a conversation that it does not take. */
export class Refusal extends Error {}

/**
 * The names that every chat template finds, as transformers offers them.
 * https://github.com/huggingface/transformers/blob/main/src/transformers/utils/chat_template_utils.py
 */
export const templateGlobals = new Environment()

const globals = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  raise_exception(message: unknown): never {
    throw new Refusal(String(message))
  },
  strftime_now(format: unknown): string {
    return strftime(new Date(), String(format))
  },
  ...stripFunctions,
}
for (const [name, value] of Object.entries(globals)) templateGlobals.set(name, value)

/** As many elements as the sandbox of Jinja2 lets a range have. */
const MAX_RANGE = 100_000

/** Python's. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  if (step === 0) throw new Error('range() by steps of zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (length > MAX_RANGE) throw new Error(`range() of ${length} elements, more than ${MAX_RANGE}`)
  return Array.from({ length }, (_, i) => start + i * step)
}
