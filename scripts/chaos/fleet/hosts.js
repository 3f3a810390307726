import { execFileSync } from 'node:child_process'

/*
 * Where members of a fleet run: hosts of their own in network namespaces, whose links can be cut and slowed; or this one,
 * where the machine does not allow that.
 */

/**
 * @typedef {object} Host
 * @property {string} address
 * @property {readonly string[]} prefix what a command begins with that runs there
 * @property {boolean} canCut whether its link can be cut, and slowed
 * @property {boolean} canSlow
 * @property {(isCut: boolean) => void} cut
 * @property {(millis: number) => void} slow delays what it sends; 0 ends that
 */

/** @type {Host} */
const here = {
  address: '127.0.0.1',
  prefix: [],
  canCut: false,
  canSlow: false,
  cut: () => {},
  slow: () => {},
}

/** Hosts, and what is theirs. */
export class Network {
  #name
  #subnet
  #hosts = 0
  /** Why there are no hosts of their own; undefined where there are. */
  refusal
  /** Why none can be slowed. */
  slowness

  /** @param {string} [refusal] */
  constructor(refusal) {
    // names of links have 15 characters at most
    this.#name = `dp${process.pid % 1e6}`
    this.#subnet = `10.${200 + (process.pid % 50)}.${(process.pid >> 3) % 250}`
    this.refusal = refusal ?? failureOf(() => this.#makeBridge())
    this.slowness = this.refusal ?? failureOf(() => this.#trySlow())
  }

  /** Where what is on this host is found by the others. */
  get address() {
    return this.refusal === undefined ? `${this.#subnet}.1` : here.address
  }

  /** @returns {Host} */
  add() {
    if (this.refusal !== undefined) return here
    const number = ++this.#hosts
    const namespace = `${this.#name}-${number}`
    const link = `${this.#name}v${number}`
    const address = `${this.#subnet}.${number + 1}`
    const within = ['netns', 'exec', namespace]
    ip('netns', 'add', namespace)
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
    ip('link', 'set', link, 'master', this.#name, 'up')
    ip(...within, 'ip', 'address', 'add', `${address}/24`, 'dev', 'eth0')
    ip(...within, 'ip', 'link', 'set', 'eth0', 'up')
    ip(...within, 'ip', 'link', 'set', 'lo', 'up')
    let isSlow = false
    return {
      address,
      prefix: ['ip', ...within],
      canCut: true,
      canSlow: this.slowness === undefined,
      cut: (isCut) => ip('link', 'set', link, isCut ? 'down' : 'up'),
      slow: (millis) => {
        if (isSlow) tc('qdisc', 'del', 'dev', link, 'root')
        isSlow = millis > 0
        if (!isSlow) return
        const delay = [`${millis}ms`, `${Math.ceil(millis / 4)}ms`]
        tc('qdisc', 'add', 'dev', link, 'root', 'netem', 'delay', ...delay)
      },
    }
  }

  /** Takes all of it down. */
  remove() {
    if (this.refusal !== undefined) return
    for (let i = 1; i <= this.#hosts; i++)
      quietly(() => ip('netns', 'delete', `${this.#name}-${i}`))
    quietly(() => ip('link', 'delete', this.#name))
  }

  #makeBridge() {
    ip('link', 'add', this.#name, 'type', 'bridge')
    ip('address', 'add', `${this.#subnet}.1/24`, 'dev', this.#name)
    ip('link', 'set', this.#name, 'up')
    ip('netns', 'add', `${this.#name}-0`)
    ip('netns', 'delete', `${this.#name}-0`)
  }

  /** Not every kernel has netem. */
  #trySlow() {
    tc('qdisc', 'add', 'dev', this.#name, 'root', 'netem', 'delay', '1ms')
    tc('qdisc', 'del', 'dev', this.#name, 'root')
  }
}

/** Why something cannot be done; undefined where it can. */
function failureOf(/** @type {() => void} */ work) {
  try {
    work()
    return undefined
  } catch (error) {
    return /** @type {Error} */ (error).message.trim().replace(/\s*\n\s*/g, ': ')
  }
}

function ip(/** @type {string[]} */ ...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function tc(/** @type {string[]} */ ...args) {
  execFileSync('tc', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function quietly(/** @type {() => void} */ work) {
  try {
    work()
  } catch {
    // it was not there
  }
}
