import { httpSender } from './http.js'
import { type Load, runLoad, type Send } from './load.js'
import type { Server } from './server.js'
import { type ServerName, servers } from './servers.js'

/** The commands to a process. */
export type Commands = ReturnType<typeof makeCommands>

/** A process is either a server, which may also run a load without HTTP, or the client that sends loads to servers. */
export function makeCommands() {
  let server: Server
  const senders = new Map<string, Send>()
  return {
    /** Loads a server's runtime; returns its version. */
    async start(name: ServerName): Promise<string> {
      server = await servers[name]()
      return server.version
    },
    listen(...args: Parameters<Server['listen']>): Promise<string> {
      return server.listen(...args)
    },
    /** Runs a load without HTTP; undefined where that cannot be done. */
    async runInside(load: Load): Promise<Outcome | undefined> {
      return server.send && { answers: await runLoad(load, server.send), cpuMillis: 0 }
    },
    /** Sends a load to a server. */
    async sendTo(url: string, load: Load): Promise<Outcome> {
      const send = senders.get(url) ?? httpSender(url)
      senders.set(url, send)
      const before = process.cpuUsage()
      const answers = await runLoad(load, send)
      const { user, system } = process.cpuUsage(before)
      return { answers, cpuMillis: (user + system) / 1000 }
    },
  }
}
