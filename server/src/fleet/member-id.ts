import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** A new name of a member of a fleet, which tells its machine; another each time. */
export function makeMemberId(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .slice(0, 32)
  return `${host}-${randomBytes(6).toString('hex')}`
}
