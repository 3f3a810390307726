import { spawnSync } from 'node:child_process'
import { it } from 'vitest'

/*
 * Hosts of their own on one machine: network namespaces of Linux, each with a cable to this one.
 */

let count = 0

/** A host with a network stack of its own, and a cable to this one. */
export class Host implements Disposable {
  /** What runs a program there. */
  readonly command: readonly string[]
  /** Of this machine and of the host, at the ends of the cable. */
  readonly here: string
  readonly address: string
  readonly #name: string
  readonly #plug: string

  constructor() {
    const id = ++count
    this.#name = `dotpool-${process.pid}-${id}`
    this.#plug = `dp${process.pid}.${id}`
    this.command = ['ip', 'netns', 'exec', this.#name]
    const network = findNetwork()
    this.here = `${network}.1`
    this.address = `${network}.2`
    run('ip', 'netns', 'add', this.#name)
    const peer = ['peer', 'name', 'cable', 'netns', this.#name]
    run('ip', 'link', 'add', this.#plug, 'type', 'veth', ...peer)
    run('ip', 'address', 'add', `${this.here}/30`, 'dev', this.#plug)
    run('ip', '-n', this.#name, 'address', 'add', `${this.address}/30`, 'dev', 'cable')
    run('ip', '-n', this.#name, 'link', 'set', 'lo', 'up')
    run('ip', '-n', this.#name, 'link', 'set', 'cable', 'up')
    this.plug()
  }

  /** Pulls the cable: nothing comes or goes, and nobody is told. */
  unplug(): void {
    run('ip', 'link', 'set', this.#plug, 'down')
  }

  plug(): void {
    run('ip', 'link', 'set', this.#plug, 'up')
  }

  /** Makes the cable thin, in both directions: what it cannot carry waits for up to a second, and is lost then. */
  narrow(rate: string): void {
    const limits = ['root', 'tbf', 'rate', rate, 'burst', '10kb', 'latency', '1s']
    run('tc', 'qdisc', 'replace', 'dev', this.#plug, ...limits)
    run(...this.command, 'tc', 'qdisc', 'replace', 'dev', 'cable', ...limits)
  }

  [Symbol.dispose](): void {
    // the cable goes with it
    run('ip', 'netns', 'delete', this.#name)
  }
}

/** A network that nobody has here, also no host that a process left behind when it was killed. */
function findNetwork(): string {
  const taken = run('ip', '-o', '-4', 'address')
  // these are kept for tests of networks
  for (let id = 0; id < 256; id++) if (!taken.includes(` 198.18.${id}.`)) return `198.18.${id}`
  throw new Error('all networks are taken that are for tests')
}

function findProblem(): string | undefined {
  if (process.platform !== 'linux') return 'Linux has them'
  if (process.getuid?.() !== 0) return 'only root may make them'
  if (['ip', 'tc'].some((command) => spawnSync(command, ['-V']).status !== 0)) {
    return '`apt install iproute2`'
  }
  try {
    using host = new Host()
    host.narrow('1mbit')
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Runs a command, and returns what it prints. */
function run(...command: string[]): string {
  const [program, ...args] = command
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (status === 0) return stdout
  throw new Error(`${command.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

/** Why there can be none here, if so. */
const problem = findProblem()

/** Whether tests that need hosts of their own can run. */
export const hasHosts = problem === undefined

/** Says in the report why tests are not there. */
export function tellWithoutHosts(): void {
  if (!hasHosts) it.skip(`needs network namespaces: ${problem}`, () => {})
}
