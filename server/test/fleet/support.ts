import type { Model } from 'dotpool'
import Fastify from 'fastify'
import { FleetMember, type FleetRole } from '#server/fleet/member.js'
import { Subjects } from '#server/fleet/subjects.js'
import { InProcessHub } from '#server/fleet/transport/in-process.js'
import type {
  Blobs,
  Bucket,
  Handlers,
  Subscription,
  Transport,
} from '#server/fleet/transport/transport.js'
import { type ModelCatalog, ModelStore } from '#server/index.js'
import { start, type TestServer } from '../support.js'

const { log } = Fastify({ logger: false })

export function makeMember(
  transport: Transport,
  role: FleetRole | undefined,
  models?: Record<string, Model>,
): FleetMember {
  const store = models && new ModelStore(models)
  return new FleetMember({ transport, subjects: new Subjects('test'), role, store, log })
}

export interface Fleet extends AsyncDisposable {
  readonly gateway: FleetMember
  readonly server: TestServer
  /** Another worker. */
  add(models: Record<string, Model>, transport?: Transport): Promise<FleetMember>
}

/**
 * A fleet of a gateway, and a worker for each of some sets of models.
 *
 * @param connect makes the connection of each: first the gateway's
 */
export async function makeFleet(
  workers: readonly Record<string, Model>[],
  connect: () => Transport | Promise<Transport> = inProcess(),
): Promise<Fleet> {
  const gateway = makeMember(await connect(), 'gateway')
  const members = [gateway]
  const add = async (models: Record<string, Model>, transport?: Transport) => {
    const member = makeMember(transport ?? (await connect()), 'worker', models)
    members.push(member)
    await member.join()
    return member
  }
  for (const models of workers) await add(models)
  // without a worker it would wait for one for a while
  if (workers.length > 0) await gateway.join()
  await until(() => gateway.gateway?.workers.size === workers.length)
  const server = await start(gateway.catalog as ModelCatalog)
  const close = async () => {
    await server.close()
    for (const member of members) await member.close().catch(() => {})
  }
  return { gateway, server, add, [Symbol.asyncDispose]: close }
}

/** Connections to one hub. */
export function inProcess(): () => Transport {
  const hub = new InProcessHub()
  return () => hub.connect()
}

/** A connection that loses what a test wants it to lose. */
export class LossyTransport implements Transport {
  readonly #inner: Transport
  readonly #loses: (subject: string, message: Record<string, unknown>) => boolean

  /** @param loses whether a message that is published is lost */
  constructor(
    inner: Transport,
    loses: (subject: string, message: Record<string, unknown>) => boolean,
  ) {
    this.#inner = inner
    this.#loses = loses
  }

  get isConnected(): boolean {
    return this.#inner.isConnected
  }

  get events(): Transport['events'] {
    return this.#inner.events
  }

  publish(subject: string, payload: Uint8Array, reply?: string): void {
    const message = JSON.parse(new TextDecoder().decode(payload))
    if (!this.#loses(subject, message)) this.#inner.publish(subject, payload, reply)
  }

  subscribe(subject: string, handlers: Handlers): Subscription {
    return this.#inner.subscribe(subject, handlers)
  }

  bucket(name: string, ttlMillis: number): Bucket {
    return this.#inner.bucket(name, ttlMillis)
  }

  blobs(name: string): Blobs {
    return this.#inner.blobs(name)
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }
}

/** What a server tells Prometheus of a metric: the sum of its series. */
export async function metricOf({ url }: TestServer, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'gm'))]
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Resolves once something holds. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate)
}

/** Resolves once there is nothing that runs or waits. */
export async function idle(model: Model): Promise<void> {
  await until(() => model.stats().running + model.stats().waiting === 0)
}
