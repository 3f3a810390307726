import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import koffi from 'koffi'
import { serving } from '../../test/support/pool-threads.js'

/*
 * Faults of threads, memory and clocks, at random times.
 */

/** @import { AllowedErrors } from './tally.js' */
/** @import { Random } from '../random.js' */
/** @typedef {{ random: Random, allowed: readonly AllowedErrors[] }} FaultTargets */

const counts = {
  'killed workers': 0,
  'suspended threads': 0,
  'suspended process': 0,
  'memory pressure': 0,
  'clock jumps': 0,
}

/** How often each fault was injected so far. */
export const countFaults = () => counts

// ---- threads ------------------------------------------------------------------------------------

function killWorker(/** @type {FaultTargets} */ { random, allowed }) {
  if (serving.size === 0) return
  const worker = random.pick([...serving])
  serving.delete(worker)
  for (const errors of allowed) errors.killed = true
  counts['killed workers']++
  worker.terminate()
}

const linux = process.platform === 'linux'

/** A signal whose handler is the C library's sleep(): the signal's number is how many seconds the thread sleeps. */
const SLEEP = 1
/** @type {ReturnType<typeof prepareSignals> | undefined} */
let signalThread

function prepareSignals() {
  const library = koffi.load(null)
  const dlsym = library.func('void *dlsym(void *library, const char *name)')
  library.func('void *signal(int number, void *handler)')(SLEEP, dlsym(null, 'sleep'))
  return library.func('int tgkill(int process, int thread, int number)')
}

/** Suspends a thread at any point: in a kernel, between a claim and its count, about to park. */
function suspendThread(/** @type {FaultTargets} */ { random }) {
  const others = readdirSync('/proc/self/task')
    .map(Number)
    .filter((thread) => thread !== process.pid)
  counts['suspended threads']++
  // not before: others, a server among them, may have handled the signal first
  signalThread ??= prepareSignals()
  signalThread(process.pid, random.pick(others), SLEEP)
}

/** Suspends all threads, as when a laptop sleeps. */
async function suspendProcess(/** @type {FaultTargets} */ { random }) {
  const script = 'kill -STOP $0; sleep $1; kill -CONT $0'
  const args = ['-c', script, `${process.pid}`, `${random.spread(0.01, 3)}`]
  counts['suspended process']++
  await once(spawn('sh', args, { stdio: 'ignore' }), 'close')
}

// ---- memory -------------------------------------------------------------------------------------

async function takeMemory(/** @type {FaultTargets} */ { random }) {
  const bytes = Buffer.alloc(random.spread(1e6, 2e8), 1)
  counts['memory pressure']++
  await setTimeout(random.spread(1, 300))
  bytes.fill(0)
}

// ---- clocks -------------------------------------------------------------------------------------

const clock = { ahead: 0, off: 0 }
/** Milliseconds of a clock that does not jump. */
export const now = performance.now.bind(performance)
const { now: wall } = Date
performance.now = () => now() + clock.ahead
Date.now = () => wall() + clock.off

/** Sets the wall clock to any time, and the monotonic clock forward as after a sleep. */
function setClocks(/** @type {FaultTargets} */ { random }) {
  counts['clock jumps']++
  clock.off = random.integer(-1e9, 1e9)
  clock.ahead += random.spread(1, 1e6)
}

// ---- when ---------------------------------------------------------------------------------------

/** The share of rounds with each fault, and its mean period in those, milliseconds. */
const faults = [
  { act: killWorker, chance: 0.7, millis: 250 },
  { act: suspendThread, chance: linux ? 0.15 : 0, millis: 700 },
  { act: suspendProcess, chance: existsSync('/bin/sh') ? 0.05 : 0, millis: 2000 },
  { act: takeMemory, chance: 0.15, millis: 500 },
  { act: setClocks, chance: 0.3, millis: 200 },
]

/**
 * Starts to inject faults.
 *
 * @returns a function that stops; it resolves when all faults are over
 */
export function beginFaults(/** @type {FaultTargets} */ targets) {
  const { random } = targets
  const end = new AbortController()
  const all = faults
    .filter(({ chance }) => random.chance(chance))
    .map(async ({ act, millis }) => {
      while (!end.signal.aborted) {
        // a shortened wait is no error here
        await setTimeout(random.spread(millis / 10, millis * 4), undefined, end).catch(() => {})
        if (!end.signal.aborted) await act(targets)
      }
    })
  return async () => {
    end.abort()
    await Promise.all(all)
  }
}
