import { setTimeout } from 'node:timers/promises'
import { isPartOf, readAnswer } from '../server/answer.js'

/*
 * A client that has the fleet run one batch after another, whatever befalls it, and judges the results.
 */

/** @import { Random } from '../../random.js' */
/** @import { Tally } from '../server/tally.js' */
/** @import { Member } from './member.js' */
/** @import { Expected } from './oracle.js' */
/** @typedef {{ custom_id: string, response: { status_code: number, body: any } | null }} Result */

/** Lines of a batch. */
const LINES = 60

/** In which one call must be answered, and then is tried anew; and a batch be through. */
const CALL_MILLIS = 10_000
const BATCH_MILLIS = 180_000

/** Time between two calls. */
const POLL_MILLIS = 300

export class Batches {
  /** Lines that had one result, the right one. */
  lines = 0
  /** Batches that were through, and calls that had to be tried anew. */
  batches = 0
  retries = 0
  #gateways
  #oracle
  #random
  #tally
  #isEnding = false
  /** @type {Promise<void> | undefined} */
  #running

  /**
   * @param {Member[]} gateways
   * @param {Expected[]} oracle
   * @param {Random} random
   * @param {Tally} tally
   */
  constructor(gateways, oracle, random, tally) {
    this.#gateways = gateways
    this.#oracle = oracle
    this.#random = random
    this.#tally = tally
  }

  begin() {
    this.#running = this.#run()
  }

  /** Begins no other batch. Resolves once the last is through. */
  async end() {
    this.#isEnding = true
    await this.#running
  }

  async #run() {
    do {
      const { path } = this.#random.pick(this.#oracle)
      const choices = this.#oracle.filter((each) => each.path === path && !each.isLong)
      const lines = Array.from({ length: LINES }, () => this.#random.pick(choices))
      try {
        this.#judge(lines, await this.#batch(path, lines))
      } catch (error) {
        this.#tally.fail(`a batch: ${error instanceof Error ? error.stack : error}`)
      }
    } while (!this.#isEnding)
  }

  /**
   * @param {string} endpoint
   * @param {Expected[]} lines
   * @returns {Promise<Result[]>}
   */
  async #batch(endpoint, lines) {
    const deadline = performance.now() + BATCH_MILLIS
    const input = lines.map(({ path: url, body }, i) => {
      return JSON.stringify({ custom_id: `${i}`, method: 'POST', url, body })
    })
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new File([input.join('\n')], 'input.jsonl'))
    const file = await this.#call(deadline, '/v1/files', { method: 'POST', body: form })
    const wanted = { input_file_id: file.id, endpoint, completion_window: '24h' }
    let batch = await this.#call(deadline, '/v1/batches', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wanted),
    })
    while (batch.status !== 'completed') {
      const isOver = ['failed', 'expired', 'cancelled'].includes(batch.status)
      if (isOver || performance.now() > deadline) break
      await setTimeout(POLL_MILLIS)
      batch = await this.#call(deadline, `/v1/batches/${batch.id}`)
    }
    const { completed } = batch.request_counts
    if (batch.status !== 'completed' || completed !== lines.length) {
      const errors = batch.error_file_id
        ? await this.#call(deadline, `/v1/files/${batch.error_file_id}/content`)
        : ''
      throw new Error(`${JSON.stringify(batch)} ${JSON.stringify(errors).slice(0, 2000)}`)
    }
    return await this.#call(deadline, `/v1/files/${batch.output_file_id}/content`)
  }

  /**
   * Asks any gateway, again and again, until one answers. Whoever is told that something is wrong with the call fails.
   *
   * @param {number} deadline
   * @param {string} path
   * @param {RequestInit} init
   * @returns {Promise<any>} what the body has: one value, or one a line
   */
  async #call(deadline, path, init = {}) {
    for (let problem = ''; performance.now() < deadline; this.retries++) {
      const { port } = this.#random.pick(this.#gateways)
      try {
        const signal = AbortSignal.timeout(CALL_MILLIS)
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, signal })
        const text = await answer.text()
        if (answer.ok) return path.endsWith('/content') ? readLines(text) : JSON.parse(text)
        problem = `${path}: ${answer.status}: ${text}`
      } catch {
        // a gateway that is gone, or does not answer
      }
      if (problem !== '' && !problem.includes(': 503: ')) throw new Error(problem)
      await setTimeout(POLL_MILLIS)
    }
    throw new Error(`${path}: not answered in ${BATCH_MILLIS / 1000} s`)
  }

  /**
   * Each line has one result, that of one model alone.
   *
   * @param {Expected[]} lines
   * @param {Result[]} results
   */
  #judge(lines, results) {
    this.batches++
    const ids = results.map(({ custom_id }) => custom_id)
    if (ids.join() !== [...lines.keys()].join()) {
      this.#tally.fail(`a batch of ${lines.length} lines has results of ${ids}`)
      return
    }
    for (const [i, expected] of lines.entries()) {
      const { response } = results[i]
      const isRight = response?.status_code === 200 && isPartOf(readAnswer(response.body), expected)
      if (isRight) this.lines++
      else this.#tally.fail(`a line of a batch: ${JSON.stringify([expected.body, results[i]])}`)
    }
  }
}

function readLines(/** @type {string} */ text) {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}
