import { rm } from 'node:fs/promises'
import { Model, Pool } from 'dotpool'
import { Random } from '../../random.js'
import { beginFaults, countFaults } from '../faults.js'
import { Memory, openDescriptors } from '../memory.js'
import { settle } from '../settle.js'
import { AllowedErrors } from '../tally.js'
import { copyModel } from './model-copy.js'
import { settings } from './settings.js'

/*
 * The server's process: `serve` as the command runs it, and faults inside. The parent commands it.
 */

/** @import { DrainedState } from './process.js' */

/** Without its types: they take the package's Model for another class than its own sources'. @type {any} */
const { ModelStore, serve } = await import('@dotpool/server')

const memory = await Memory.prepare()
const pool = await Pool.create({ threads: 2 })
const model = await loadModel()
/** How many completions were logged, by the end that they came to. @type {Record<string, number>} */
const logged = {}

/** @type {() => Promise<void>} */
let endFaults = async () => {}

const commands = {
  async beginFaults(/** @type {number} */ seed) {
    endFaults = beginFaults({ random: new Random(seed), allowed: [new AllowedErrors()] })
  },
  endFaults: () => endFaults(),
  stats: async () => model.stats(),
  /** Collects garbage, and tells what is held. @returns {Promise<DrainedState>} */
  async drained() {
    await memory?.sample()
    await settle()
    return {
      memory: memory && { count: memory.length, tenths: memory.tenths },
      descriptors: openDescriptors(),
      resources: process.getActiveResourcesInfo(),
      faults: countFaults(),
      logged,
    }
  },
}

process.on(
  'message',
  async (/** @type {{ id: number, name: keyof typeof commands, args: [number] }} */ message) => {
    const { id, name, args } = message
    process.send?.({ id, result: await commands[name](...args) })
  },
)

await serve({
  ...settings,
  models: new ModelStore({ model }),
  port: 0,
  logger: { level: 'info', stream: { write: readLog } },
})
await pool.close()
process.disconnect()

/** With memory for few requests at a time. */
async function loadModel() {
  const folder = await copyModel()
  const { maxContext, maxQueue } = settings
  try {
    return await Model.load(pool, folder, { maxContext, kvBytes: 1, maxQueue })
  } finally {
    await rm(folder, { recursive: true })
  }
}

function readLog(/** @type {string} */ line) {
  const { msg, level, err } = JSON.parse(line)
  const port = /^Server listening at .*:(\d+)$/.exec(msg)?.[1]
  if (port !== undefined) process.send?.({ port: Number(port) })
  else logged[msg] = (logged[msg] ?? 0) + 1
  if (level >= 50) process.send?.({ failure: `${msg}: ${err?.stack}` })
}
