/*
 * What clients saw of a round, against what the server counted.
 */

/** @typedef {{ choices: Record<string, number>, promptTokens: number, completionTokens: number }} Seen */

/** The sums of a server's metrics by their names, with `finished_reason` where there is one. */
export function parseMetrics(/** @type {string} */ text) {
  /** @type {Record<string, number>} */
  const sums = {}
  for (const line of text.split('\n')) {
    const match = /^([\w:]+)(\{.*\})? (\S+)$/.exec(line)
    if (match === null) continue
    const [, name, labels = '', value] = match
    const reason = /finished_reason="(\w+)"/.exec(labels)?.[1]
    const key = reason === undefined ? name : `${name} ${reason}`
    sums[key] = (sums[key] ?? 0) + Number(value)
  }
  return sums
}

/** The books of the clients of a round. */
export class Account {
  /** Choices that came as a whole, by their finish reasons. */
  #finished = new Map([
    ['stop', 0],
    ['length', 0],
  ])
  /** Their requests' tokens. */
  #promptTokens = 0
  #completionTokens = 0
  /** Of requests that were refused, failed, or whose client left: the most that there can be. */
  #others = { choices: 0, promptTokens: 0, completionTokens: 0 }

  /** A whole answer came. @param {import('./oracle.js').Expected} expected */
  complete({ choices, body, promptTokens, completionTokens }) {
    for (const { finish } of choices) {
      this.#finished.set(finish, (this.#finished.get(finish) ?? 0) + 1)
    }
    // each choice has the prompt
    this.#promptTokens += body.n * promptTokens
    this.#completionTokens += completionTokens
  }

  /** None came, or a part. @param {import('./oracle.js').Expected} expected */
  part({ body, promptTokens }) {
    this.#others.choices += body.n
    this.#others.promptTokens += body.n * promptTokens
    this.#others.completionTokens += body.n * body.max_tokens
  }

  /**
   * Tells what does not add up. Where every client had its whole answer, all must be equal.
   *
   * @param {Record<string, number>} before
   * @param {Record<string, number>} after
   */
  compare(before, after) {
    /** @type {string[]} */
    const problems = []
    const grown = (/** @type {string} */ name) => (after[name] ?? 0) - (before[name] ?? 0)
    const check = (
      /** @type {string} */ name,
      /** @type {number} */ value,
      /** @type {number} */ least,
      /** @type {number} */ more,
    ) => {
      if (value >= least && value <= least + more) return
      problems.push(`${name}: ${value}, expected ${least}${more > 0 ? ` to ${least + more}` : ''}`)
    }
    const others = this.#others
    const finished = (/** @type {string} */ reason) => grown(`vllm:request_success_total ${reason}`)
    for (const [reason, seen] of this.#finished) {
      check(`finished by ${reason}`, finished(reason), seen, others.choices)
    }
    const seen = [...this.#finished.values()].reduce((sum, count) => sum + count, 0)
    const counted = ['stop', 'length', 'abort', 'error'].reduce(
      (sum, reason) => sum + finished(reason),
      0,
    )
    check('finished', counted, seen, others.choices)
    const { promptTokens, completionTokens } = others
    check('prompt tokens', grown('vllm:prompt_tokens_total'), this.#promptTokens, promptTokens)
    const generated = grown('vllm:generation_tokens_total')
    check('generation tokens', generated, this.#completionTokens, completionTokens)
    // every request that was admitted is in all of these
    const admitted = grown('vllm:request_queue_time_seconds_count')
    for (const name of [
      'e2e_request_latency_seconds',
      'request_prompt_tokens',
      'request_generation_tokens',
    ]) {
      check(name, grown(`vllm:${name}_count`), admitted, 0)
    }
    check('tokens of answers', grown('vllm:request_generation_tokens_sum'), generated, 0)
    for (const name of ['running', 'waiting']) {
      check(name, after[`vllm:num_requests_${name}`], 0, 0)
    }
    return problems
  }
}
