import { setTimeout } from 'node:timers/promises'
import { Model, Pool } from 'dotpool'
import { possibleIsas } from '#src/native/load.js'
import { poolThreads } from '../../test/support/pool-threads.js'
import { callSomething, packMlps } from './calls.js'
import { beginFaults } from './faults.js'
import { Fate } from './ledger.js'
import { folder } from './oracle.js'

/** @import { Scene } from './calls.js' */
/** @import { Ledger } from './ledger.js' */
/** @import { Oracle } from './oracle.js' */
/** @import { Random } from './random.js' */

/** Waits so many times a tenth of a second for what should settle: counted, for clocks jump. */
const PATIENCE = 600

const isas = possibleIsas().filter((isa) => isa !== 'typescript')

/**
 * The life of a pool, called by a few clients, from its start until nothing is left of it.
 *
 * @param {Oracle} oracle
 * @param {Random} random
 * @param {Ledger} ledger
 */
export async function runRound(oracle, random, ledger) {
  const before = poolThreads().length
  const fate = new Fate()
  const textFate = new Fate()
  // the widest kernels half of the time
  process.env.DOTPOOL_ISA = random.chance(0.5) ? '' : random.pick(isas)
  const threads = random.integer(1, 6)
  const pool = await Pool.create({ threads, spinMicros: random.pick([0, 50, 5000]) })
  const mlps = await packMlps(pool, oracle.mlps)
  const { products } = oracle
  const text = random.chance(0.4) ? await loadText(pool, oracle, random, textFate) : undefined
  /** @type {Scene} */
  const scene = { random, ledger, fate, pool, mlps, products, text }

  let isOver = false
  const clients = Array.from({ length: random.integer(1, 24) }, async () => {
    while (!isOver) {
      await callSomething(scene)
      // most go on at once, some rest, so that now and then workers have nothing to do
      if (random.chance(0.05)) await setTimeout(random.spread(1, 200))
    }
  })
  const endFaults = beginFaults({ random, fates: [fate, textFate] })
  await setTimeout(random.spread(200, 4000))
  await endFaults()
  isOver = true

  const settled = Promise.all(clients)
  if (text !== undefined && random.chance(0.3)) {
    textFate.disposed = true
    text.model.dispose()
  }
  if (random.chance(0.5)) {
    // in the midst of calls
    fate.closed = true
    textFate.closed = true
  } else if (!(await isInTime(settled))) {
    ledger.giveUp()
    return
  }
  const closed = pool.close()
  if (!(await isInTime(Promise.all([settled, closed])))) ledger.giveUp()
  else if (poolThreads().length > before) ledger.blame('a closed pool leaves threads')
}

/**
 * @param {Pool} pool
 * @param {Oracle} oracle
 * @param {Random} random
 * @param {Fate} fate
 */
async function loadText(pool, oracle, random, fate) {
  const { kv, texts } = random.pick(oracle.texts)
  return { model: await Model.load(pool, folder, { kv }), fate, texts }
}

async function isInTime(/** @type {Promise<unknown>} */ promise) {
  let isDone = false
  promise.then(() => {
    isDone = true
  })
  for (let i = 0; i < PATIENCE && !isDone; i++) {
    await Promise.race([promise, setTimeout(100)])
  }
  return isDone
}
