// Parses broken documents, and uses those that open: `npm run fuzz -- --minutes 1`. Each must give a value or one of
// our errors, and soon. The seed plus n determines execution n of a target, and a failure prints that sum:
// `node scripts/fuzz.js --target tokenizer --seed 123 --minutes 0` repeats it alone.
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { DotpoolError } from '../dist/src/errors.js'
import { config } from './fuzz/config.js'
import { gguf } from './fuzz/gguf.js'
import { packedModel } from './fuzz/packed.js'
import { safetensors } from './fuzz/safetensors.js'
import { template } from './fuzz/template.js'
import { tokenizer } from './fuzz/tokenizer.js'
import { Random } from './random.js'

/** @typedef {import('./fuzz/target.js').Target} Target */

const targets = [safetensors, config, tokenizer, template, gguf, packedModel]
const LIMIT_SECONDS = 20
const MOST_FAILURES = 20

// the tokenizer library warns of unknown fields, and errors that are only counted need no long stack
console.warn = () => {}
Error.stackTraceLimit = 4

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    target: { type: 'string' },
  },
})
const chosen = targets.filter(({ name }) => values.target === undefined || values.target === name)
if (chosen.length === 0) throw new Error(`no target ${values.target}`)
const seed = values.seed === undefined ? Date.now() * 1000 : Number(values.seed)
const millis = (Number(values.minutes) * 60_000) / chosen.length

/** The current execution, then its target; a watchdog thread ends the process if one takes too long. */
const place = new Float64Array(new SharedArrayBuffer(16))
const watch = new Worker(
  `const { workerData: { place, names, seconds } } = require('node:worker_threads')
   let before = -1
   setInterval(() => {
     if (place[0] === before) {
       const which = '--target ' + names[place[1]] + ' --seed ' + place[0]
       require('node:fs').writeSync(2, 'one input took more than ' + seconds + ' s: ' + which + '\\n')
       process.kill(process.pid, 'SIGKILL')
     }
     before = place[0]
   }, seconds * 1000)`,
  {
    eval: true,
    workerData: { place, names: targets.map(({ name }) => name), seconds: LIMIT_SECONDS },
  },
)

/** The outcomes of a target's documents. */
class Tally {
  executions = 0
  accepted = 0
  /** @type {Map<string, number>} by the refusing stage, and the error's name */
  refused = new Map()
  /** @type {Set<string>} by where they were thrown */
  failures = new Set()

  /** @param {string} stage @param {unknown} error @param {() => string} describe */
  note(stage, error, describe) {
    if (error instanceof DotpoolError) {
      const key = `${stage} ${error.name}`
      this.refused.set(key, (this.refused.get(key) ?? 0) + 1)
      return
    }
    const [, where = ''] = (error instanceof Error && error.stack?.split('\n    at ')) || []
    if (this.failures.has(where) || this.failures.size >= MOST_FAILURES) return
    this.failures.add(where)
    console.error(`FAILED ${describe()}`)
    console.error(error)
  }
}

/** @param {Target} target @param {number} at the seed of this execution @param {Tally} tally */
async function execute({ name, generate, open }, at, tally) {
  place[0] = at
  const bytes = generate(new Random(at))
  const describe = () =>
    `--target ${name} --seed ${at}: ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`
  tally.executions++
  let uses
  try {
    uses = open(bytes)
    tally.accepted++
  } catch (error) {
    tally.note('opening:', error, describe)
    return
  }
  for (const use of uses) {
    try {
      const result = use()
      if (result instanceof Promise) await result
    } catch (error) {
      tally.note('using:', error, describe)
    }
  }
}

console.log(`seed ${seed}`)
for (const target of chosen) {
  place[1] = targets.indexOf(target)
  const tally = new Tally()
  const start = performance.now()
  do await execute(target, seed + tally.executions, tally)
  while (performance.now() - start < millis)
  const rate = Math.round((tally.executions / (performance.now() - start)) * 1000)
  const counts = [...tally.refused].map(([key, count]) => `${key} ${count}`)
  console.log(
    `${target.name}: ${tally.executions} executions, ${rate}/s, ${tally.accepted} accepted; ` +
      `${['refused', ...counts].join(', ')}; ${tally.failures.size} failures`,
  )
  if (tally.failures.size > 0) process.exitCode = 1
}
await watch.terminate()
