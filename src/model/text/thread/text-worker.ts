import { type MessagePort, workerData } from 'node:worker_threads'
import { parseDocuments } from './parse-documents.js'
import type { TextRequest } from './service.js'
import { TextEngine } from './text-engine.js'
import type { TextSource } from './text-source.js'
import { toWire, type WireError } from './wire-error.js'

/*
 * The thread that works on the texts of one checkpoint. It parses them as it starts, which its first reply tells
 * of, and then answers one request after the other.
 */

/** What it is told as it starts. */
export interface TextStart {
  readonly source: TextSource
  readonly port: MessagePort
  /** One word that counts its replies, for those who wait without an event loop. */
  readonly replies: Int32Array<SharedArrayBuffer>
}

export type TextReply = { readonly value: unknown } | { readonly error: WireError }

const { source, port, replies } = workerData as TextStart

async function reply(work: () => unknown): Promise<void> {
  let message: TextReply
  try {
    message = { value: await work() }
  } catch (error) {
    message = { error: toWire(error) }
  }
  port.postMessage(message, 'value' in message ? buffersOf(message.value) : [])
  Atomics.add(replies, 0, 1)
  Atomics.notify(replies, 0)
}

/** Large arrays change hands rather than being copied: those that an answer is, or has in it, however deep. */
function buffersOf(answer: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(answer)) return [answer.buffer as ArrayBuffer]
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return []
  return Object.values(answer).flatMap(buffersOf)
}

let engine: TextEngine
await reply(async () => {
  engine = new TextEngine(await parseDocuments(source))
})
port.on('message', (request: TextRequest) => reply(() => engine.answer(request)))
