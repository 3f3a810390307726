import type { RouteContext } from '../context.js'
import type { App } from './app.js'
import { addChatRoute } from './chat.js'
import { addCompletionsRoute } from './completions.js'
import { addEmbeddingsRoute } from './embeddings.js'
import { addResponsesRoute } from './responses.js'

/** The routes that have a model compute, over HTTP or for the lines of batches. */
export function addInferenceRoutes(app: App, context: RouteContext): void {
  addChatRoute(app, context)
  addCompletionsRoute(app, context)
  addResponsesRoute(app, context)
  addEmbeddingsRoute(app, context)
}
