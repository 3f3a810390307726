import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseDocuments } from './parse-documents.js'
import type { TextService } from './service.js'
import { TextEngine } from './text-engine.js'
import { TextInPlace } from './text-in-place.js'
import type { TextSource } from './text-source.js'
import { TextThread } from './text-thread.js'

const workerUrl = new URL('./text-worker.js', import.meta.url)

/**
 * Whoever works on the texts of a checkpoint: a thread, or this one where a bundle has left the thread's file behind.
 *
 * @throws FormatError, which a thread throws at the first call
 */
export async function startService(source: TextSource): Promise<TextService> {
  if (existsSync(fileURLToPath(workerUrl))) return new TextThread(workerUrl, source)
  return new TextInPlace(new TextEngine(await parseDocuments(source)))
}
