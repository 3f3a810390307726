import { createWriteStream, openAsBlob } from 'node:fs'
import { rename } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { ArgumentError } from '../errors.js'

/** A batch, as far as the command shows it. */
export interface BatchState {
  readonly id: string
  readonly status: string
  readonly errors: {
    data: readonly { code: string; message: string; line: number | null }[]
  } | null
  readonly output_file_id: string | null
  readonly error_file_id: string | null
  readonly request_counts: { total: number; completed: number; failed: number }
  readonly metadata: Readonly<Record<string, string>> | null
}

/** How often a server that cannot be reached, or is busy, is asked again, and how long that takes at first and at most. */
const ATTEMPTS = 8
const FIRST_DELAY_MILLIS = 500
const MOST_DELAY_MILLIS = 30_000

/** Batches of a server, by OpenAI's protocol. */
export class BatchClient {
  readonly #base: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #signal: AbortSignal

  /** @param url of the server, with or without `/v1`; @param signal ends every call */
  constructor(url: string, apiKey: string | undefined, signal: AbortSignal) {
    this.#base = url.replace(/\/+$/, '').replace(/\/v1$/, '')
    this.#headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
    this.#signal = signal
  }

  /** @returns the file's id */
  async upload(path: string): Promise<string> {
    const form = new FormData()
    form.append('purpose', 'batch')
    form.append('file', await openAsBlob(path), basename(path))
    const { id } = await this.#json<{ id: string }>('/v1/files', { method: 'POST', body: form })
    return id
  }

  async create(fields: {
    input_file_id: string
    endpoint: string
    completion_window: string
    metadata: Record<string, string>
  }): Promise<BatchState> {
    return await this.#json('/v1/batches', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(fields),
    })
  }

  async get(id: string): Promise<BatchState> {
    return await this.#json(`/v1/batches/${id}`)
  }

  /** The newest batches. */
  async list(): Promise<readonly BatchState[]> {
    return (await this.#json<{ data: BatchState[] }>('/v1/batches?limit=100')).data
  }

  /** Writes a file's content, as a whole or not at all. */
  async download(id: string, path: string): Promise<void> {
    const response = await this.#ask(`/v1/files/${id}/content`)
    const part = `${path}.part`
    const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])
    await pipeline(body, createWriteStream(part), { signal: this.#signal })
    await rename(part, path)
  }

  async #json<Body>(path: string, init: RequestInit = {}): Promise<Body> {
    return (await (await this.#ask(path, init)).json()) as Body
  }

  /** Asks, again where the server cannot be reached or is busy. */
  async #ask(path: string, init: RequestInit = {}): Promise<Response> {
    const url = `${this.#base}${path}`
    for (let attempt = 1; ; attempt++) {
      const { response, problem } = await this.#try(url, init)
      if (response?.ok) return response
      const isTemporary = response === undefined || [429, 502, 503, 504].includes(response.status)
      if (!isTemporary || attempt === ATTEMPTS) {
        const expected = `an answer to ${init.method ?? 'GET'} ${url}`
        throw new ArgumentError('--url', expected, problem)
      }
      const millis = Math.min(FIRST_DELAY_MILLIS * 2 ** (attempt - 1), MOST_DELAY_MILLIS)
      await setTimeout(millis, undefined, { signal: this.#signal })
    }
  }

  async #try(url: string, init: RequestInit) {
    const headers = { ...this.#headers, ...(init.headers as Record<string, string> | undefined) }
    try {
      const response = await fetch(url, { ...init, headers, signal: this.#signal })
      return response.ok
        ? { response, problem: '' }
        : { response, problem: `${response.status}: ${await problemOf(response)}` }
    } catch (error) {
      this.#signal.throwIfAborted()
      const { message, cause } = error as Error
      return { response: undefined, problem: cause instanceof Error ? cause.message : message }
    }
  }
}

/** What the server says. */
async function problemOf(response: Response): Promise<string> {
  const text = await response.text()
  try {
    return JSON.parse(text).error.message
  } catch {
    return text.slice(0, 200)
  }
}
