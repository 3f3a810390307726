import { type Arrivals, rateOf } from './arrivals.js'
import type { Machine } from './machine.js'
import type { Policy } from './policy.js'
import { Random } from './random.js'
import type { SimulatedRequest } from './request.js'
import { Timeline } from './timeline.js'
import { SimulatedWorker } from './worker.js'
import { type Conversation, Conversations, type Workload } from './workload.js'

export interface FleetOptions {
  readonly workers: number
  /** Workers are of these kinds by turns. */
  readonly machines: readonly Machine[]
  readonly gateways: number
  readonly workload: Workload
  readonly arrivals: Arrivals
  /** Requests in a second for each worker. */
  readonly perSecond: number
  readonly policy: (random: Random) => Policy
  readonly seed: number
  /** Seconds that are not counted, in which caches fill. */
  readonly warmUp: number
  /** Seconds that are. */
  readonly counted: number
}

/** What came of a simulated fleet. */
export interface FleetResult {
  /** In the counted time. */
  readonly requests: SimulatedRequest[]
  /** Of answers that ended in it. */
  readonly answerTokens: number
  /** Of each worker, the part of the counted time that it computed. */
  readonly busy: number[]
}

/** Pages of 64 tokens of a worker's KV cache: 4 GiB of Qwen3-0.6B's, in bfloat16. */
const PAGES = 585

/** From a gateway through NATS to a worker, and back: two hops of a data centre's network each. Milliseconds. */
const MESSAGE_MILLIS = 0.5

/** Between announcements of a worker. */
const ANNOUNCE_MILLIS = 1000

/** How long an announcement is on its way. */
const ANNOUNCE_DELAY_MILLIS = 5

/** Workers that a gateway asks before it answers 429. */
const ATTEMPTS = 3

/** A conversation's request that is under way. */
interface Exchange {
  readonly conversation: Conversation
  readonly policy: Policy
  readonly worker: string
}

/** Runs a fleet for a while. The same options give the same result. */
export function simulate(options: FleetOptions): FleetResult {
  const { workers: count, machines, workload, arrivals, perSecond, seed } = options
  const timeline = new Timeline()
  const random = new Random(seed + 1)
  // apart, so that the same clients come whatever the policy does
  const clients = new Random(seed)
  const conversations = new Conversations(workload, seed)
  const exchanges = new Map<SimulatedRequest, Exchange>()
  const requests: SimulatedRequest[] = []
  let answerTokens = 0

  const listener = {
    onFirstToken(request: SimulatedRequest) {
      request.firstToken = timeline.now + MESSAGE_MILLIS
    },
    onEnd(request: SimulatedRequest) {
      request.ended = timeline.now + MESSAGE_MILLIS
      timeline.after(MESSAGE_MILLIS, () => end(request))
    },
  }
  const workers = new Map<string, SimulatedWorker>()
  for (let i = 0; i < count; i++) {
    const id = `w${i}`
    const machine = machines[i % machines.length]
    workers.set(id, new SimulatedWorker(id, machine, PAGES, timeline, listener))
  }
  const gateways = Array.from({ length: options.gateways }, () => {
    return options.policy(new Random(random.below(2 ** 31)))
  })

  const announce = (worker: SimulatedWorker) => {
    const { load } = worker
    const hashes = worker.takeServed()
    timeline.after(ANNOUNCE_DELAY_MILLIS, () => {
      for (const policy of gateways) policy.announced(load, hashes, timeline.now)
    })
    timeline.after(ANNOUNCE_MILLIS, () => announce(worker))
  }
  for (const worker of workers.values()) {
    for (const policy of gateways) policy.announced(worker.load, [], 0)
    timeline.after(random.uniform() * ANNOUNCE_MILLIS, () => announce(worker))
  }

  const send = (request: SimulatedRequest, conversation: Conversation, policy: Policy) => {
    const refused = new Set<string>()
    const attempt = () => {
      const id = policy.send(request, timeline.now, (worker) => !refused.has(worker))
      if (id === undefined || refused.size === ATTEMPTS) {
        request.isRefused = true
        if (id !== undefined) policy.ended(request, id)
        return
      }
      timeline.after(MESSAGE_MILLIS, () => {
        if (workers.get(id)?.take(request)) {
          exchanges.set(request, { conversation, policy, worker: id })
          return
        }
        timeline.after(MESSAGE_MILLIS, () => {
          policy.ended(request, id)
          refused.add(id)
          attempt()
        })
      })
    }
    attempt()
  }

  const ask = (conversation: Conversation) => {
    const request: SimulatedRequest = {
      ...conversation.next(),
      sent: timeline.now,
      cachedTokens: 0,
      firstToken: 0,
      ended: 0,
      isRefused: false,
    }
    if (timeline.now >= 1000 * options.warmUp) requests.push(request)
    send(request, conversation, gateways[random.below(gateways.length)])
  }

  const end = (request: SimulatedRequest) => {
    const { conversation, policy, worker } = exchanges.get(request) as Exchange
    exchanges.delete(request)
    if (timeline.now >= 1000 * options.warmUp) answerTokens += request.answerTokens
    policy.ended(request, worker)
    const pause = conversation.pause()
    if (pause === undefined) return
    const rest = Math.max(request.sent + pause - timeline.now, 1000)
    timeline.after(rest, () => ask(conversation))
  }

  const rate = rateOf(arrivals, clients)
  const arrive = () => {
    ask(conversations.begin())
    timeline.after(clients.exponential(interval) / rate(timeline.now), arrive)
  }
  // turns of a conversation on average
  const turns = workload.hasTurns ? 1.5 : 1
  const interval = (1000 * turns) / (perSecond * count)
  timeline.after(clients.exponential(interval), arrive)

  timeline.run(1000 * options.warmUp)
  const before = [...workers.values()].map(({ busy }) => busy)
  timeline.run(1000 * (options.warmUp + options.counted))
  const busy = [...workers.values()].map((worker, i) => {
    return (worker.busy - before[i]) / (1000 * options.counted)
  })
  return { requests, answerTokens, busy }
}
