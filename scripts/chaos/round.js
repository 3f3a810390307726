import { setTimeout } from 'node:timers/promises'
import { Model, Pool } from 'dotpool'
import { possibleIsas } from '#src/native/load.js'
import { poolThreads } from '../../test/support/pool-threads.js'
import { callSomething, packMlps } from './calls.js'
import { beginFaults } from './faults.js'
import { folder } from './oracle.js'
import { AllowedErrors } from './tally.js'

/** @import { CallContext } from './calls.js' */
/** @import { Tally } from './tally.js' */
/** @import { Oracle } from './oracle.js' */
/** @import { Random } from '../random.js' */

/** How many tenths of a second to wait for calls to settle: counted, because clocks jump. */
const SETTLE_WAITS = 600

const isas = possibleIsas().filter((isa) => isa !== 'typescript')

/**
 * Runs one pool, called by a few clients, from its creation until its threads are gone.
 *
 * @param {Oracle} oracle
 * @param {Random} random
 * @param {Tally} tally
 */
export async function runRound(oracle, random, tally) {
  const before = poolThreads().length
  const allowed = new AllowedErrors()
  const textAllowed = new AllowedErrors()
  // the widest kernels half of the time
  process.env.DOTPOOL_ISA = random.chance(0.5) ? '' : random.pick(isas)
  const threads = random.integer(1, 6)
  const pool = await Pool.create({ threads, spinMicros: random.pick([0, 50, 5000]) })
  const mlps = await packMlps(pool, oracle.mlps)
  const { products } = oracle
  const text = random.chance(0.4) ? await loadText(pool, oracle, random, textAllowed) : undefined
  /** @type {CallContext} */
  const context = { random, tally, allowed, pool, mlps, products, text }

  let isOver = false
  const clients = Array.from({ length: random.integer(1, 24) }, async () => {
    while (!isOver) {
      await callSomething(context)
      // most continue at once, some pause, so that workers become idle from time to time
      if (random.chance(0.05)) await setTimeout(random.spread(1, 200))
    }
  })
  const endFaults = beginFaults({ random, allowed: [allowed, textAllowed] })
  await setTimeout(random.spread(200, 4000))
  await endFaults()
  isOver = true

  const settled = Promise.all(clients)
  if (text !== undefined && random.chance(0.3)) {
    textAllowed.disposed = true
    text.model.dispose()
  }
  if (random.chance(0.5)) {
    // in the middle of calls
    allowed.closed = true
    textAllowed.closed = true
  } else if (!(await isInTime(settled))) {
    tally.markUnsettled()
    return
  }
  const closed = pool.close()
  if (!(await isInTime(Promise.all([settled, closed])))) tally.markUnsettled()
  else if (poolThreads().length > before) tally.fail('a closed pool leaves threads behind')
}

/**
 * @param {Pool} pool
 * @param {Oracle} oracle
 * @param {Random} random
 * @param {AllowedErrors} allowed
 */
async function loadText(pool, oracle, random, allowed) {
  const { kv, texts } = random.pick(oracle.texts)
  return { model: await Model.load(pool, folder, { kv }), allowed, texts }
}

async function isInTime(/** @type {Promise<unknown>} */ promise) {
  let isDone = false
  promise.then(() => {
    isDone = true
  })
  for (let i = 0; i < SETTLE_WAITS && !isDone; i++) {
    await Promise.race([promise, setTimeout(100)])
  }
  return isDone
}
