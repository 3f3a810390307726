import { setTimeout } from 'node:timers/promises'

/*
 * What happens to members of a fleet, and to NATS. Each fault ends by itself: what was there is there again.
 */

/** @import { Random } from '../../random.js' */
/** @import { Member } from './member.js' */
/** @import { Nats } from './nats.js' */
/** @typedef {{ random: Random, member: Member, nats: Nats }} FaultContext */
/** @typedef {(context: FaultContext) => Promise<void>} Fault */

/** Ended at once, and started anew after a while. @type {Fault} */
async function kill({ random, member }) {
  member.disturbances++
  await member.end('SIGKILL')
  await setTimeout(random.spread(50, 3000))
  await member.start()
}

/** Told to end, as when it is replaced by another version. @type {Fault} */
async function terminate({ member }) {
  // a gateway closes connections that wait for nothing
  member.disturbances++
  await member.end('SIGTERM')
  await member.start()
}

/** Stopped for a while, and goes on. @type {Fault} */
async function stop({ random, member }) {
  member.disturbances++
  member.signal('SIGSTOP')
  await setTimeout(random.spread(100, 8000))
  member.signal('SIGCONT')
}

/** Its link is cut for a while. @type {Fault} */
async function cut({ random, member: { host }, member }) {
  member.disturbances++
  host.cut(true)
  await setTimeout(random.spread(100, 8000))
  host.cut(false)
}

/** Its link is slow for a while. @type {Fault} */
async function slow({ random, member: { host } }) {
  host.slow(random.integer(5, 150))
  await setTimeout(random.spread(500, 5000))
  host.slow(0)
}

/** NATS is ended at once, and started anew after a while. @type {Fault} */
async function killNats({ random, nats }) {
  await nats.kill()
  await setTimeout(random.spread(50, 3000))
  await nats.start()
}

/** By name; each is chosen as often as its weight says. @type {Record<string, [weight: number, fault: Fault]>} */
export const faults = {
  kill: [5, kill],
  terminate: [3, terminate],
  stop: [3, stop],
  cut: [3, cut],
  slow: [2, slow],
  'kill NATS': [1, killNats],
}

/** Whether a fault can happen to a member there. */
export function canHappen(/** @type {string} */ name, /** @type {Member} */ { host }) {
  return (name !== 'cut' || host.canCut) && (name !== 'slow' || host.canSlow)
}
