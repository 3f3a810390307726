/** @typedef {import('../random.js').Random} Random */

/*
 * Valid documents with a mistake, or only a change, in a place or two: they reach most of the code that parses them,
 * where random bytes would be refused at once.
 */

const oddValues = [null, true, false, -1, 0, 0.5, 1, 2, 64, 1e9, 2 ** 31, 2 ** 53, 1e308, '', 'a']
const oddTexts = [
  '',
  '\u0000',
  '\ud800',
  '😀',
  'é',
  '\n',
  ' ',
  '▁',
  '{{',
  '%}',
  '\\',
  '"',
  '(',
  '[',
  '*',
  '0',
]
const oddNames = ['__proto__', 'constructor', 'toString', 'type', 'length', '']

/**
 * @param {Random} random
 * @param {readonly unknown[]} documents valid ones; a change to one may take parts of another
 */
export function mutatedJson(random, documents) {
  const root = [copyOf(random.pick(documents))]
  for (let changes = random.below(4); changes > 0; changes--) {
    const [parent, key] = placeIn(random, root)
    change(random, parent, key, documents)
  }
  return root[0]
}

/** @param {unknown} value */
function copyOf(value) {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value))
}

/**
 * @param {Random} random
 * @param {object} root
 * @returns {[Record<string, any>, string]} an object or a list in it, and a key of that
 */
function placeIn(random, root) {
  let parent = /** @type {Record<string, any>} */ (root)
  let key = '0'
  for (;;) {
    const child = parent[key]
    if (typeof child !== 'object' || child === null || (parent !== root && random.chance(1 / 5)))
      break
    const keys = Object.keys(child)
    if (keys.length === 0) break
    parent = child
    key = random.pick(keys)
  }
  return [parent, key]
}

/**
 * @param {Random} random
 * @param {Record<string, any>} parent
 * @param {string} key
 * @param {readonly unknown[]} documents
 */
function change(random, parent, key, documents) {
  const isList = Array.isArray(parent)
  switch (random.below(12)) {
    case 0:
      parent[key] = random.pick(oddValues)
      break
    case 1:
      parent[key] = random.pick([[], {}])
      break
    case 2:
      if (isList) parent.splice(Number(key), 1)
      else delete parent[key]
      break
    case 3: {
      const [donor, from] = placeIn(random, [random.pick(documents)])
      parent[key] = copyOf(donor[from])
      break
    }
    case 4: {
      const [donor, from] = placeIn(random, [random.pick(documents)])
      const name = random.chance(1 / 4) ? random.pick(oddNames) : from
      if (isList) parent.splice(Number(key), 0, copyOf(parent[key]))
      // as JSON.parse does, for which __proto__ is a name like any other
      else define(parent, name, copyOf(donor[from]))
      break
    }
    default:
      parent[key] = nudged(random, parent[key])
  }
}

/** @param {object} object @param {string} name @param {unknown} value */
function define(object, name, value) {
  const how = { value, enumerable: true, configurable: true, writable: true }
  Object.defineProperty(object, name, how)
}

/** @param {Random} random @param {unknown} value */
function nudged(random, value) {
  if (typeof value === 'string') return mutatedText(random, value)
  if (typeof value === 'boolean') return !value
  if (typeof value !== 'number') return random.pick(oddValues)
  return random.pick([value + 1, value - 1, value * 2, value / 2, -value, random.below(300)])
}

/**
 * @param {Random} random
 * @param {string} text
 * @param {readonly string[]} pieces that may be inserted
 */
export function mutatedText(random, text, pieces = oddTexts) {
  const at = random.below(text.length + 1)
  const end = Math.min(text.length, at + random.below(8))
  switch (random.below(3)) {
    case 0:
      return text.slice(0, at) + text.slice(end)
    case 1:
      return text.slice(0, end) + text.slice(at)
    default:
      return text.slice(0, at) + random.pick(pieces) + text.slice(random.chance(1 / 2) ? at : end)
  }
}

/**
 * @param {Random} random
 * @param {Uint8Array} valid
 * @returns {Uint8Array} with some bytes changed, and maybe truncated
 */
export function mutatedBytes(random, valid) {
  const bytes = Uint8Array.from(valid)
  for (let changes = random.below(4); changes > 0; changes--) {
    const at = random.below(bytes.length)
    bytes[at] = random.pick([random.below(256), bytes[at] ^ (1 << random.below(8)), 0, 0x7f, 0xff])
  }
  return random.chance(1 / 8) ? bytes.subarray(0, random.below(bytes.length)) : bytes
}
