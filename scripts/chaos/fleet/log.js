/** What workers log of an attempt at its end. */
const ends = new Set(['completed', 'cancelled', 'failed', 'refused'])

/** Levels of pino. */
const WARN = 40
const ERROR = 50

/** What the processes of a fleet log. */
export class FleetLog {
  /** How often what was logged as a warning, or worse. @type {Record<string, number>} */
  warnings = {}
  /** What no fault explains. @type {string[]} */
  errors = []
  /** Requests that were logged as failed by their gateways. @type {Set<string>} */
  failed = new Set()
  /** How the attempts of requests have ended, by the requests' ids. @type {Map<string, string[]>} */
  attempts = new Map()

  /**
   * @param {string} name of the process
   * @param {string} text
   * @returns {any} the line; undefined where it is none
   */
  read(name, text) {
    const line = parse(text)
    if (line === undefined) {
      this.errors.push(`${name}: ${text}`)
      return undefined
    }
    const { level, msg, reqId, attempt, err } = line
    if (attempt !== undefined && ends.has(msg)) {
      this.attempts.set(reqId, [...(this.attempts.get(reqId) ?? []), msg])
    }
    if (level >= WARN) {
      const what = err === undefined ? msg : `${msg}: ${err.message}`
      this.warnings[what] = (this.warnings[what] ?? 0) + 1
    }
    const isOfRequest = reqId !== undefined && attempt === undefined
    if (level >= ERROR && isOfRequest) this.failed.add(reqId)
    else if (level >= ERROR) this.errors.push(`${name}: ${msg}: ${err?.stack}`)
    return line
  }
}

function parse(/** @type {string} */ text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
