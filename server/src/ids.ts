import { randomUUID } from 'node:crypto'

/** A new id of something of a kind: `msg_`, and 32 digits. */
export function makeId(kind: string): string {
  return `${kind}_${randomUUID().replaceAll('-', '')}`
}

/** The time, seconds. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
