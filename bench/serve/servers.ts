import type { Server } from './server.js'

/** All servers, dotpool first; loaded by import(), so that none needs the dependencies of another. */
export const servers = {
  dotpool: async (): Promise<Server> => (await import('./servers/dotpool.js')).dotpool,
  'node-llama-cpp': async (): Promise<Server> => (await import('./servers/llama-cpp.js')).llamaCpp,
}

export type ServerName = keyof typeof servers
