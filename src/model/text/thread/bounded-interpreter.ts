import { type Environment, Interpreter, type Template } from '@huggingface/jinja'

type Root = Template['parsed']

/** What an expression or a statement comes to. */
interface Value {
  readonly value: unknown
  toString(): string
}

/** The engine's interpreter, whose published types name files that are not found. */
const Base = Interpreter as new (
  environment: Environment,
) => {
  run(root: Root): Value
  evaluate(node: object | undefined, environment: Environment): Value
}

/** Far above any context, UTF-16 units. */
const MAX_CHARACTERS = 1 << 24

/** Of a list, which has an object for each. */
const MAX_ITEMS = 1 << 20

/** Runs a template that may write no more than {@link MAX_CHARACTERS}, nor put together longer texts or lists. */
export class BoundedInterpreter extends Base {
  readonly #writers: WeakSet<object>
  #written = 0

  /** @param writers by {@link findWriters} */
  constructor(environment: Environment, writers: WeakSet<object>) {
    super(environment)
    this.#writers = writers
  }

  override evaluate(node: object | undefined, environment: Environment): Value {
    const result = super.evaluate(node, environment)
    const { value } = result
    if (node !== undefined && this.#writers.has(node)) this.#written += writtenLength(result)
    const characters = typeof value === 'string' ? value.length : 0
    if (Math.max(this.#written, characters) > MAX_CHARACTERS) {
      throw new Error(`it writes more than ${MAX_CHARACTERS} characters`)
    }
    if (Array.isArray(value) && value.length > MAX_ITEMS) {
      throw new Error(`it makes a list of more than ${MAX_ITEMS} items`)
    }
    return result
  }
}

function writtenLength(result: Value): number {
  return result.value === null || result.value === undefined ? 0 : result.toString().length
}

const blocks = ['body', 'alternate', 'defaultBlock']

/** Statements that only write what the blocks in them have written. */
const controls = ['If', 'For']

/** The texts and expressions of a template that stand in a block, to be written. */
export function findWriters(root: Root): WeakSet<object> {
  const writers = new WeakSet<object>()
  const visit = (node: unknown) => {
    if (typeof node !== 'object' || node === null) return
    for (const [field, child] of Object.entries(node)) {
      visit(child)
      if (!blocks.includes(field) || !Array.isArray(child)) continue
      for (const statement of child) if (!controls.includes(statement.type)) writers.add(statement)
    }
  }
  visit(root)
  return writers
}
