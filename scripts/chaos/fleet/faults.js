import { setTimeout } from 'node:timers/promises'

/*
 * What goes wrong in a fleet: processes are killed, suspended and drained, their ways to NATS cut, stalled and slowed.
 */

/** @import { Random } from '../../random.js' */
/** @import { Load } from './load.js' */
/** @import { Member } from './member.js' */
/** @import { NatsServer } from './nats.js' */

/**
 * Where faults are injected.
 *
 * @typedef {object} Fleet
 * @property {NatsServer} nats
 * @property {Member[]} workers
 * @property {Member[]} gateways
 * @property {Load} clients
 */

/** @typedef {Member | NatsServer | Load} Target what a fault strikes, or comes from */

/**
 * A fault, until all is restored.
 *
 * @typedef {object} Fault
 * @property {string} name
 * @property {(fleet: Fleet) => Target[]} candidates
 * @property {number} count how many of them it strikes
 * @property {(targets: any[], random: Random) => Promise<void>} act
 */

/** In which a process is waited for to have something to do, before it is struck. */
const BUSY_MILLIS = 3000

/** How long what is gone stays so. @param {Random} random */
const outage = (random) => setTimeout(random.spread(500, 4000))

/** @type {Record<string, (member: Member, random: Random) => Promise<void>>} */
const ofMember = {
  async killed(member, random) {
    await member.kill()
    await outage(random)
    await member.start()
  },
  async suspended(member, random) {
    await suspend(member, random)
  },
  async drained(member, random) {
    await drain(member)
    await outage(random)
    await member.start()
  },
  async 'cut off'({ link }, random) {
    link.cut()
    await setTimeout(random.spread(500, 6000))
    link.mend()
  },
  async 'cut off silently'({ link }, random) {
    link.stall()
    await setTimeout(random.spread(1000, 8000))
    link.mend()
  },
  async 'far away'({ link }, random) {
    link.slow(random.spread(20, 200))
    await setTimeout(random.spread(2000, 6000))
    link.mend()
  },
}

/** @type {Fault[]} */
export const faults = [
  ...Object.entries(ofMember).flatMap(([what, act]) =>
    /** @type {const} */ (['workers', 'gateways']).map((role) => ({
      name: `a ${role.slice(0, -1)} is ${what}`,
      candidates: (/** @type {Fleet} */ fleet) => fleet[role],
      count: 1,
      act: async (/** @type {Member[]} */ [member], /** @type {Random} */ random) => {
        await busy(member)
        await act(member, random)
      },
    })),
  ),
  {
    name: 'NATS is killed',
    candidates: ({ nats }) => [nats],
    count: 1,
    async act([nats], random) {
      await nats.process.kill()
      await outage(random)
      await nats.start()
    },
  },
  {
    name: 'NATS is suspended',
    candidates: ({ nats }) => [nats],
    count: 1,
    act: ([nats], random) => suspend(nats, random),
  },
  {
    name: 'all workers are killed',
    candidates: ({ workers }) => workers,
    count: Number.POSITIVE_INFINITY,
    async act(/** @type {Member[]} */ workers, random) {
      await Promise.all(workers.map((worker) => worker.kill()))
      await outage(random)
      await Promise.all(workers.map((worker) => worker.start()))
    },
  },
  {
    name: 'clients come in a crowd',
    candidates: ({ clients }) => [clients],
    count: 1,
    act: (/** @type {Load[]} */ [clients]) => clients.crowd(),
  },
  {
    name: 'all workers are restarted in turn',
    candidates: ({ workers }) => workers,
    count: Number.POSITIVE_INFINITY,
    async act(workers) {
      for (const worker of workers) {
        await drain(worker)
        await worker.start()
      }
    },
  },
]

/**
 * @param {Member | NatsServer} target
 * @param {Random} random
 */
async function suspend({ process }, random) {
  process.signal('SIGSTOP')
  await setTimeout(random.spread(1000, 5000))
  process.signal('SIGCONT')
}

async function drain(/** @type {Member} */ member) {
  const end = await member.drain()
  if (end !== 0) throw new Error(`${member.name} ended with ${end} though it was told to end`)
}

/** Waits until it does something, if it does so soon: what strikes an idle process shows little. */
async function busy(/** @type {Member} */ member) {
  const name =
    member.role === 'worker' ? 'vllm:num_requests_running' : 'dotpool_gateway_attempts_in_flight'
  const deadline = performance.now() + BUSY_MILLIS
  while (performance.now() < deadline) {
    const metrics = await member.metrics()
    if ((metrics?.[name] ?? 0) > 0) return
    await setTimeout(20)
  }
}

/** Deals faults in a random order, each as often as the next. */
export class Deck {
  #random
  /** @type {Fault[]} */
  #cards = []
  /** How often each was dealt. */
  counts = Object.fromEntries(faults.map(({ name }) => [name, 0]))

  /** @param {Random} random */
  constructor(random) {
    this.#random = random
  }

  /** Whether each was dealt. */
  get isThrough() {
    return Object.values(this.counts).every((count) => count > 0)
  }

  /**
   * Faults that can strike at once.
   *
   * @param {Fleet} fleet
   * @param {number} most
   */
  deal(fleet, most) {
    if (this.#cards.length === 0) this.#shuffle()
    /** @type {Set<Target>} */
    const struck = new Set()
    /** @type {{ fault: Fault, targets: Target[] }[]} */
    const dealt = []
    for (const fault of [...this.#cards]) {
      const candidates = fault.candidates(fleet)
      const free = candidates.filter((target) => !struck.has(target))
      const wanted = Math.min(fault.count, candidates.length)
      if (dealt.length === most || free.length < wanted) continue
      const targets = wanted === free.length ? free : [this.#random.pick(free)]
      for (const target of targets) struck.add(target)
      dealt.push({ fault, targets })
      this.counts[fault.name]++
      this.#cards.splice(this.#cards.indexOf(fault), 1)
    }
    return dealt
  }

  #shuffle() {
    for (const fault of faults) {
      this.#cards.splice(this.#random.integer(0, this.#cards.length), 0, fault)
    }
  }
}
