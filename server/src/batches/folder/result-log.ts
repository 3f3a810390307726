import { EventEmitter, on } from 'node:events'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readLines } from '../input-lines.js'
import { isSuccess, type LineResult } from '../result.js'
import type { LineOutcome } from '../store.js'

/** Where a result lies. */
interface Place {
  readonly file: FileHandle
  readonly offset: number
  readonly bytes: number
}

interface Entry {
  readonly line: number
  readonly result: LineResult
}

interface Append {
  readonly entry: Entry
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The results of one batch, in the order in which they came. Each process that opens it appends to a file of its own, a
 * line for each result, so what another has left incomplete is never written to again: a result is either whole or not
 * there. The first one of a line holds.
 */
export class ResultLog implements AsyncDisposable {
  readonly #folder: string
  readonly #files: FileHandle[] = []
  readonly #places = new Map<number, Place>()
  readonly #outcomes: LineOutcome[] = []
  readonly #events = new EventEmitter<{ added: [] }>()
  /** What waits to be written: all of it is by one call. */
  #appends: Append[] = []
  #writing: Promise<void> | undefined
  #own: FileHandle | undefined
  #ownBytes = 0

  private constructor(folder: string) {
    this.#folder = folder
    this.#events.setMaxListeners(0)
  }

  /** @param folder the batch's */
  static async open(folder: string): Promise<ResultLog> {
    const log = new ResultLog(folder)
    const names = (await readdir(folder)).filter(isResults)
    for (const name of names.sort()) await log.#read(join(folder, name))
    return log
  }

  /** Whether a line has a result. */
  has(line: number): boolean {
    return this.#places.has(line)
  }

  /** Keeps a result on the disk, unless the line has one. */
  async append(line: number, result: LineResult): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#appends.push({ entry: { line, result }, resolve, reject })
      this.#writing ??= this.#write().finally(() => {
        this.#writing = undefined
      })
    })
  }

  async get(line: number): Promise<LineResult | undefined> {
    const place = this.#places.get(line)
    if (place === undefined) return undefined
    const { buffer } = await place.file.read(
      Buffer.alloc(place.bytes),
      0,
      place.bytes,
      place.offset,
    )
    return (JSON.parse(buffer.toString('utf8')) as Entry).result
  }

  async *watch(signal: AbortSignal): AsyncGenerator<LineOutcome, void, void> {
    const added = on(this.#events, 'added', { signal })
    let next = 0
    for (;;) {
      while (next < this.#outcomes.length) yield this.#outcomes[next++]
      await added.next()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
    for (const file of this.#files) await file.close()
  }

  async #read(path: string): Promise<void> {
    const file = await open(path)
    this.#files.push(file)
    const content = file.createReadStream({ autoClose: false, start: 0 })
    for await (const { offset, bytes, text } of readLines(content, Number.MAX_SAFE_INTEGER)) {
      const entry = parse(text)
      if (entry !== undefined) this.#add(entry, { file, offset, bytes })
    }
  }

  async #write(): Promise<void> {
    while (this.#appends.length > 0) {
      const appends = this.#appends
      this.#appends = []
      try {
        await this.#writeAll(appends.map(({ entry }) => entry))
        for (const { resolve } of appends) resolve()
      } catch (error) {
        // what was written of it is not to be appended to
        this.#own = undefined
        for (const { reject } of appends) reject(error)
      }
    }
  }

  async #writeAll(entries: readonly Entry[]): Promise<void> {
    const file = this.#own ?? (await this.#begin())
    const lines = new Map<number, { entry: Entry; text: Buffer }>()
    for (const entry of entries) {
      if (this.has(entry.line) || lines.has(entry.line)) continue
      lines.set(entry.line, { entry, text: Buffer.from(`${JSON.stringify(entry)}\n`) })
    }
    const all = Buffer.concat([...lines.values()].map(({ text }) => text))
    for (let at = 0; at < all.length; ) {
      const { bytesWritten } = await file.write(all, at, all.length - at, this.#ownBytes + at)
      at += bytesWritten
    }
    await file.datasync()
    for (const { entry, text } of lines.values()) {
      this.#add(entry, { file, offset: this.#ownBytes, bytes: text.length - 1 })
      this.#ownBytes += text.length
    }
    this.#events.emit('added')
  }

  async #begin(): Promise<FileHandle> {
    const number = String(this.#files.length).padStart(6, '0')
    const file = await open(join(this.#folder, `results-${number}.jsonl`), 'wx+')
    this.#files.push(file)
    this.#own = file
    this.#ownBytes = 0
    return file
  }

  #add({ line, result }: Entry, place: Place): void {
    if (this.#places.has(line)) return
    this.#places.set(line, place)
    this.#outcomes.push({ line, isSuccess: isSuccess(result) })
  }
}

/** Whether a file of a batch's folder holds results. */
export function isResults(name: string): boolean {
  return /^results-\d+\.jsonl$/.test(name)
}

/** Undefined of what a process that has died did not write to its end. */
function parse(text: string | undefined): Entry | undefined {
  try {
    return JSON.parse(text ?? '') as Entry
  } catch {
    return undefined
  }
}
