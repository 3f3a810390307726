import { createReadStream } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredFile } from '../../schemas/files.js'
import { type FileStore, NoFileError } from '../store.js'
import { writeJson, writeWhole } from './files-on-disk.js'

/** Files in a folder: the content of each by its id, and beside it what is told of it. */
export class FolderFiles implements FileStore {
  readonly #folder: string
  readonly #drafts: string
  readonly #files: Map<string, StoredFile>
  readonly #lost: AbortSignal

  private constructor(
    folder: string,
    drafts: string,
    files: Map<string, StoredFile>,
    lost: AbortSignal,
  ) {
    this.#folder = folder
    this.#drafts = drafts
    this.#files = files
    this.#lost = lost
  }

  /** @param drafts a folder for what is not complete; @param lost aborts where the folder is another's */
  static async open(folder: string, drafts: string, lost: AbortSignal): Promise<FolderFiles> {
    const files = new Map<string, StoredFile>()
    const names = new Set(await readdir(folder))
    for (const name of names) {
      if (name.endsWith('.json')) {
        const file = JSON.parse(await readFile(join(folder, name), 'utf8')) as StoredFile
        files.set(file.id, file)
      } else if (!names.has(`${name}.json`)) {
        // the process has ended before it was told
        await rm(join(folder, name))
      }
    }
    return new FolderFiles(folder, drafts, files, lost)
  }

  async put(
    file: Omit<StoredFile, 'bytes'>,
    content: AsyncIterable<Uint8Array>,
  ): Promise<StoredFile> {
    this.#lost.throwIfAborted()
    const bytes = await writeWhole(this.path(file.id), content, this.#drafts)
    const stored = { ...file, bytes }
    await writeJson(this.#description(file.id), stored, this.#drafts)
    this.#files.set(file.id, stored)
    return stored
  }

  async get(id: string): Promise<StoredFile | undefined> {
    return this.#files.get(id)
  }

  async list(): Promise<StoredFile[]> {
    return [...this.#files.values()]
  }

  async *read(id: string): AsyncGenerator<Uint8Array, void, void> {
    if (!this.#files.has(id)) throw new NoFileError(id)
    yield* createReadStream(this.path(id), { highWaterMark: 1 << 18 })
  }

  async delete(id: string): Promise<void> {
    if (!this.#files.delete(id)) return
    await rm(this.#description(id), { force: true })
    await rm(this.path(id), { force: true })
  }

  /** Where the content of a file lies. */
  path(id: string): string {
    return join(this.#folder, id)
  }

  #description(id: string): string {
    return `${this.path(id)}.json`
  }
}
