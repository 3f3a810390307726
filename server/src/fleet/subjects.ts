import { ArgumentError } from 'dotpool'

/** What a gateway asks of a worker. */
export type Ask = 'generate' | 'embed' | 'cancel' | 'flow' | 'lease'
/** What a worker tells a gateway: of its work, or of a lease. */
export type Tell = 'work' | 'lease'

/** The subjects of a fleet, and its buckets: all below a prefix, so that fleets can share a server. */
export class Subjects {
  readonly #prefix: string

  /** @throws ArgumentError for a prefix that no bucket can have */
  constructor(prefix: string) {
    if (!/^[\w-]{1,64}$/.test(prefix)) {
      const expected = 'up to 64 letters, digits, - and _'
      throw new ArgumentError('prefix', expected, JSON.stringify(prefix))
    }
    this.#prefix = prefix
  }

  /** The bucket of what workers announce. */
  get workers(): string {
    return `${this.#prefix}-workers`
  }

  /** The bucket of what models' checkpoints say about text. */
  get texts(): string {
    return `${this.#prefix}-texts`
  }

  /** @param ask `*` for all of them */
  toWorker(worker: string, ask: Ask | '*'): string {
    return `${this.#prefix}.worker.${worker}.${ask}`
  }

  /** @param about the attempt, or the worker; `*` for all of them */
  toGateway(gateway: string, tell: Tell | '*', about: string): string {
    return `${this.#prefix}.gateway.${gateway}.${tell}.${about}`
  }
}

/** The last word of a subject. */
export function lastWord(subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1)
}

/** The word before it. */
export function wordBeforeLast(subject: string): string {
  return subject.split('.').at(-2) ?? ''
}
