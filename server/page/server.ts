/** Why the server has not answered as it was asked to. */
export class ServerError extends Error {
  /** Undefined where the server was not reached, or left in the middle. */
  readonly status: number | undefined

  constructor(message: string, status?: number) {
    super(message)
    this.name = 'ServerError'
    this.status = status
  }
}

export interface Model {
  readonly id: string
  /** The most tokens of prompt and answer together. */
  readonly max_model_len: number
}

const KEY = 'dotpool.key'

/** A server that takes longer to tell something is not there. */
const ANSWER_MILLIS = 10_000

/** The server that the page came from. */
export class Server {
  readonly #root: URL

  /** @param root where its routes begin */
  constructor(root: URL) {
    this.#root = root
  }

  /** Sends an API key with every request from now on. It is forgotten with the tab. */
  useKey(key: string): void {
    sessionStorage.setItem(KEY, key)
  }

  get hasKey(): boolean {
    return sessionStorage.getItem(KEY) !== null
  }

  /** @throws ServerError unless the status is one of success */
  async get(path: string): Promise<Response> {
    return await this.#fetch(path, { signal: AbortSignal.timeout(ANSWER_MILLIS) })
  }

  /** @throws ServerError unless the status is one of success */
  async post(path: string, body: object, signal?: AbortSignal): Promise<Response> {
    const headers = { 'content-type': 'application/json' }
    const content = { method: 'POST', headers, body: JSON.stringify(body) }
    return await this.#fetch(path, signal === undefined ? content : { ...content, signal })
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers)
    const key = sessionStorage.getItem(KEY)
    if (key !== null) headers.set('authorization', `Bearer ${key}`)
    let response: Response
    try {
      response = await fetch(new URL(path, this.#root), { ...init, headers, cache: 'no-store' })
    } catch (error) {
      if ((error as Error).name === 'AbortError') throw error
      throw new ServerError('The server cannot be reached.')
    }
    if (response.ok) return response
    throw toServerError(await response.json().catch(() => undefined), response.status)
  }
}

/** @param body in the shape of OpenAI's errors, unless a proxy answered */
export function toServerError(body: unknown, status: number): ServerError {
  const { error } = (body ?? {}) as { error?: { message?: unknown } }
  const message = typeof error?.message === 'string' ? error.message : `status ${status}`
  const sentence = `${message.charAt(0).toUpperCase()}${message.slice(1)}`
  return new ServerError(sentence.replace(/\.?$/, '.'), status)
}
