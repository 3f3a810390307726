import type { FastifyBaseLogger } from 'fastify'
import type { LocalModels } from './local-models.js'

/** Logs what is loaded and unloaded. Returns what ends it. */
export function logModels({ events }: LocalModels, log: FastifyBaseLogger): () => void {
  const onLoaded = ({ name, millis }: { name: string; millis: number }) => {
    log.info({ model: name, millis: Math.round(millis) }, 'loaded')
  }
  const onUnloaded = ({ name }: { name: string }) => log.info({ model: name }, 'unloaded')
  const onFailed = ({ name, error }: { name: string; error: unknown }) => {
    log.error({ model: name, err: error }, 'could not be loaded')
  }
  events.on('loaded', onLoaded).on('unloaded', onUnloaded).on('failed', onFailed)
  return () => {
    events.off('loaded', onLoaded).off('unloaded', onUnloaded).off('failed', onFailed)
  }
}
