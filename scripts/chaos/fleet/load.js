import { setTimeout } from 'node:timers/promises'
import { isPartOf, readAnswer, readStream } from '../server/answer.js'
import { BrokenError, exchange } from '../server/exchange.js'

/*
 * Clients that come at random times, whether others were answered or not, and judge what they get.
 */

/** @import { Random } from '../../random.js' */
/** @import { Answer } from '../server/answer.js' */
/** @import { Manners, Outcome } from '../server/exchange.js' */
/** @import { Tally } from '../server/tally.js' */
/** @import { Episode } from './episode.js' */
/** @import { Fleet } from './faults.js' */
/** @import { Member } from './member.js' */
/** @import { Expected } from './oracle.js' */

/** In which a request must come to its end: what gateways wait for at most, and some. */
const LIMIT_MILLIS = 120_000

/** Clients that come at once, where there is room for less. */
const CROWD = 100

/** The share of requests that take so long that faults meet them. */
const LONG = 0.4

/** How requests come to an end. */
export const ends = /** @type {const} */ ([
  'answered',
  'client left',
  'full',
  'unavailable',
  'error in a stream',
  'connection refused',
  'connection broken',
])

/**
 * A request on its way.
 *
 * @typedef {object} Asked
 * @property {string} id
 * @property {Expected} expected
 * @property {boolean} stream
 * @property {boolean} leaves
 * @property {Member} gateway
 * @property {number} start
 */

/** Whether a member was struck by anything but these. @param {Episode[]} episodes @param {any} member */
const isStruck = (episodes, member, /** @type {RegExp} */ harmless) =>
  episodes.some((episode) => episode.faultsOf(member).some((fault) => !harmless.test(fault)))

/** Slow is not gone. */
const LATE = /is far away$/
/** What stands still misses nothing, and what is far away is late. */
const LATE_OR_SUSPENDED = /is (far away|suspended)$/
/** One after another is never all. */
const LATE_OR_IN_TURN = /is far away$|in turn$/

/** The column of the longest time that an answer took. */
const LONGEST = 'longest, s'

/** @returns {Record<string, number>} */
const emptyRow = () => ({ ...Object.fromEntries(ends.map((end) => [end, 0])), [LONGEST]: 0 })

export class Load {
  name = 'clients'
  /** How requests have ended, by what befell the fleet meanwhile. @type {Map<string, Record<string, number>>} */
  table = new Map()
  /** How each has ended, by its id. @type {Map<string, typeof ends[number]>} */
  ended = new Map()
  /** Streams that were answered as a whole while a worker was struck. */
  streamsThroughFaults = 0
  #fleet
  #oracle
  #random
  #tally
  #episodes
  #meanMillis
  #count = 0
  #ending = new AbortController()
  /** @type {Set<Promise<void>>} */
  #open = new Set()
  /** @type {Promise<void> | undefined} */
  #coming

  /**
   * @param {Omit<Fleet, 'clients'>} fleet
   * @param {Expected[]} oracle
   * @param {Random} random
   * @param {Tally} tally
   * @param {Episode[]} episodes so far; others are added
   * @param {number} meanMillis between two requests
   */
  constructor(fleet, oracle, random, tally, episodes, meanMillis) {
    this.#fleet = fleet
    this.#oracle = oracle
    this.#random = random
    this.#tally = tally
    this.#episodes = episodes
    this.#meanMillis = meanMillis
  }

  begin() {
    this.#coming = this.#come()
  }

  /** No more clients come. Resolves once all that came are through. */
  async end() {
    this.#ending.abort()
    await this.#coming
    await Promise.all(this.#open)
  }

  /** Has many clients come at once, of whom each wants little. Resolves once they are through. */
  async crowd() {
    await Promise.all(Array.from({ length: CROWD }, () => this.#serve(false)))
  }

  async #come() {
    const { signal } = this.#ending
    while (!signal.aborted) {
      // as often in any time as in any other of its length
      const millis = -Math.log(1 - this.#random.below(2 ** 20) / 2 ** 20) * this.#meanMillis
      await setTimeout(millis, undefined, { signal }).catch(() => {})
      void this.#serve(this.#random.chance(LONG))
    }
  }

  /** A client. @param {boolean} isLong */
  async #serve(isLong) {
    const asking = this.#ask(isLong).catch((error) => this.#tally.fail(error.stack))
    this.#open.add(asking)
    await asking
    this.#open.delete(asking)
  }

  /** @param {boolean} isLong */
  async #ask(isLong) {
    const expected = this.#random.pick(this.#oracle.filter((each) => each.isLong === isLong))
    const gateway = this.#random.pick(this.#fleet.gateways)
    const stream = expected.canStream && this.#random.chance(0.6)
    const manners = this.#pickManners(expected)
    const leaves = manners.leavesAfterMillis !== undefined
    const id = `chaos-${++this.#count}`
    const start = performance.now()
    /** @type {Asked} */
    const asked = { id, expected, stream, leaves, gateway, start }
    const options = stream ? { stream, stream_options: { include_usage: true } } : {}
    const body = JSON.stringify({ ...expected.body, ...options })
    const limited = { leavesAfterMillis: LIMIT_MILLIS, ...manners }
    const headers = { 'x-request-id': id }
    let end
    try {
      const outcome = await exchange(gateway.agent, expected.path, body, limited, headers)
      end = this.#judge(asked, outcome)
    } catch (error) {
      if (!(error instanceof BrokenError)) throw error
      end = this.#judgeBroken(asked, error)
    }
    this.#enter(asked, end)
  }

  /** @param {Expected} expected @returns {Manners} */
  #pickManners({ isLong }) {
    const random = this.#random
    if (isLong && random.chance(0.25)) return { leavesAfterMillis: random.spread(1, 2000) }
    if (random.chance(0.1)) return { pauseMillis: random.spread(50, 3000) }
    return {}
  }

  /**
   * What has come of it; tells what must not be.
   *
   * @param {Asked} asked
   * @param {Outcome} outcome
   * @returns {typeof ends[number]}
   */
  #judge(asked, { status, headers, text, hasLeft }) {
    const { stream, leaves } = asked
    if (hasLeft && !leaves) this.#fail(asked, `not answered in ${LIMIT_MILLIS / 1000} s: ${text}`)
    if (status === 0 || (hasLeft && !stream)) return 'client left'
    if (status !== 200) {
      const wait = headers['retry-after']
      if (!(Number(wait) > 0)) this.#fail(asked, `${status} without retry-after: ${text}`)
      this.#checkError(asked, text)
      if (status === 429) return 'full'
      if (status !== 503) this.#fail(asked, `${status}: ${text}`)
      this.#explain(asked, `${status}: ${text}`)
      return 'unavailable'
    }
    const answer = stream ? readStream(text) : readAnswer(JSON.parse(text))
    this.#compare(asked, answer)
    if (answer.isWhole) return 'answered'
    if (answer.error !== undefined) {
      this.#checkError(asked, answer.error)
      // what was begun waits for longer than any fault lasts
      this.#fail(asked, `a stream is given up: ${answer.error}`)
      return 'error in a stream'
    }
    if (!hasLeft) this.#fail(asked, `a stream that does not end: ${text.slice(-500)}`)
    return 'client left'
  }

  /**
   * Of a connection that broke.
   *
   * @param {Asked} asked
   * @param {BrokenError} error
   * @returns {typeof ends[number]}
   */
  #judgeBroken(asked, { outcome: { status, text }, cause }) {
    const { stream, gateway } = asked
    const faults = this.#episodesOf(asked).flatMap((episode) => episode.faultsOf(gateway))
    const isKilled = faults.some((fault) => /is killed$/.test(fault))
    const isDrained = faults.some((fault) => /is drained$/.test(fault))
    const isFine = isKilled || (isDrained && status === 0)
    if (!isFine) this.#fail(asked, `the connection broke: ${cause} ${text.slice(-500)}`)
    if (status === 200 && stream) this.#compare(asked, readStream(text))
    const { code } = /** @type {{ code?: string }} */ (cause)
    return code === 'ECONNREFUSED' ? 'connection refused' : 'connection broken'
  }

  /** No token twice, none missing, none other. @param {Asked} asked @param {Answer} answer */
  #compare(asked, answer) {
    const { expected } = asked
    if (isPartOf(answer, expected)) return
    const { choices, usage } = answer
    const texts = (/** @type {{ text: string }[]} */ all) =>
      JSON.stringify(all.map(({ text }) => text))
    const got = `${texts(choices)}, ${JSON.stringify(usage)}`
    this.#fail(asked, `not what it must be: ${got}\n  but ${texts(expected.choices)}`)
  }

  /** An error in OpenAI's shape, that says what to do. @param {Asked} asked @param {string} text */
  #checkError(asked, text) {
    try {
      const { message, type, code } = JSON.parse(text).error
      if ([message, type, code].every((part) => typeof part === 'string' && part !== '')) return
    } catch {
      // told below
    }
    this.#fail(asked, `not an error of OpenAI's shape: ${text}`)
  }

  /**
   * The fleet could not answer: only where the gateway, NATS, or every worker was struck.
   *
   * @param {Asked} asked
   * @param {string} error
   */
  #explain(asked, error) {
    const { nats, workers } = this.#fleet
    const { gateway } = asked
    const episodes = this.#episodesOf(asked)
    if (isStruck(episodes, nats, LATE)) return
    if (isStruck(episodes, gateway, LATE_OR_SUSPENDED)) return
    if (workers.every((worker) => isStruck(episodes, worker, LATE_OR_IN_TURN))) return
    this.#fail(asked, `an error that no fault explains: ${error}`)
  }

  /** @param {Asked} asked @returns {Episode[]} those that it has seen until now */
  #episodesOf({ start }) {
    return this.#episodes.filter((episode) => episode.overlaps(start, performance.now()))
  }

  /** @param {Asked} asked @param {string} problem */
  #fail(asked, problem) {
    const { id, gateway, expected, stream, start } = asked
    const seen = this.#episodesOf(asked).join('; ') || 'calm'
    const millis = Math.round(performance.now() - start)
    const request = `${id} at ${gateway.name}, ${millis} ms, stream ${stream}, ${seen}`
    this.#tally.fail(`${problem}\n  ${request}\n  ${JSON.stringify(expected.body)}`)
  }

  /** @param {Asked} asked @param {typeof ends[number]} end */
  #enter(asked, end) {
    this.ended.set(asked.id, end)
    const episodes = this.#episodesOf(asked)
    const faults = new Set(episodes.flatMap((episode) => episode.names))
    if (faults.size === 0) faults.add('none')
    for (const name of ['all', ...faults]) {
      const row = this.table.get(name) ?? emptyRow()
      row[end]++
      const tenths = Math.round((performance.now() - asked.start) / 100)
      if (end === 'answered') row[LONGEST] = Math.max(row[LONGEST], tenths / 10)
      this.table.set(name, row)
    }
    const isStruckMeanwhile = this.#fleet.workers.some((worker) => isStruck(episodes, worker, LATE))
    if (end === 'answered' && asked.stream && isStruckMeanwhile) this.streamsThroughFaults++
  }
}
