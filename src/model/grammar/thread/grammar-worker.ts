import { parentPort, workerData } from 'node:worker_threads'
import { toWire, type WireError } from '../../text/thread/wire-error.js'
import { GrammarEngine, type OpenRequest, type Vocabulary } from '../engine/grammar-engine.js'

/*
 * The thread that follows texts through their grammars. It writes masks into memory that steps read, and sends a message
 * only where somebody waits for it.
 */

export type GrammarRequest =
  | ({ readonly kind: 'open' } & OpenRequest)
  /** Ids of texts, each followed by its next token. */
  | { readonly kind: 'tokens'; readonly list: number[] }
  /** Asks for a message once all tokens so far are accepted. */
  | { readonly kind: 'await'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number }

export type GrammarReply =
  | { readonly kind: 'ready' | 'closed'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }

const engine = new GrammarEngine(workerData as Vocabulary)

function answer(request: GrammarRequest): void {
  switch (request.kind) {
    case 'open':
      attempt(request.id, () => {
        engine.open(request)
        reply({ kind: 'ready', id: request.id })
      })
      break
    case 'tokens':
      for (let i = 0; i < request.list.length; i += 2) {
        const [id, token] = [request.list[i], request.list[i + 1]]
        attempt(id, () => engine.accept(id, token))
      }
      break
    case 'await':
      reply({ kind: 'ready', id: request.id })
      break
    case 'close':
      engine.close(request.id)
      reply({ kind: 'closed', id: request.id })
  }
}

function attempt(id: number, work: () => void): void {
  try {
    work()
  } catch (error) {
    engine.close(id)
    reply({ kind: 'failed', id, error: toWire(error) })
  }
}

function reply(message: GrammarReply): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', answer)
