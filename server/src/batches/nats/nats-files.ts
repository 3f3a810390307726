import type { ObjectInfo, ObjectStore } from '@nats-io/obj'
import type { StoredFile } from '../../schemas/files.js'
import { type FileStore, NoFileError } from '../store.js'
import { reach } from './reach.js'

/** Files in an object store of JetStream. */
export class NatsFiles implements FileStore {
  readonly #objects: ObjectStore

  constructor(objects: ObjectStore) {
    this.#objects = objects
  }

  async put(
    file: Omit<StoredFile, 'bytes'>,
    content: AsyncIterable<Uint8Array>,
  ): Promise<StoredFile> {
    const metadata = { [FILE]: JSON.stringify(file) }
    const parts = toStream(content)
    const info = await reach(() => this.#objects.put({ name: file.id, metadata }, parts))
    return { ...file, bytes: info.size }
  }

  async get(id: string): Promise<StoredFile | undefined> {
    const info = await reach(() => this.#objects.info(id))
    return info === null || info.deleted ? undefined : toFile(info)
  }

  async list(): Promise<StoredFile[]> {
    const infos = await reach(() => this.#objects.list())
    return infos.filter(({ deleted }) => !deleted).map(toFile)
  }

  async *read(id: string): AsyncGenerator<Uint8Array, void, void> {
    const object = await reach(() => this.#objects.get(id))
    if (object === null) throw new NoFileError(id)
    yield* object.data
    const error = await object.error
    if (error) throw error
  }

  async delete(id: string): Promise<void> {
    if ((await this.get(id)) !== undefined) await reach(() => this.#objects.delete(id))
  }
}

const FILE = 'file'

function toFile({ metadata, size }: ObjectInfo): StoredFile {
  return { ...(JSON.parse(metadata?.[FILE] ?? '') as StoredFile), bytes: size }
}

function toStream(content: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const parts = content[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await parts.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await parts.return?.()
    },
  })
}
