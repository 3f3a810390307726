import { setTimeout } from 'node:timers/promises'
import { Model, Pool } from 'dotpool'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Host, hasHosts, tellWithoutHosts } from '../fleet/host.js'
import { hasNats, NatsServer, tellWithoutNats } from '../fleet/nats-server.js'
import { MemberProcess } from '../fleet/process.js'
import { fixture, post } from '../support.js'

tellWithoutNats()
tellWithoutHosts()

/*
 * Workers on hosts of their own, whose cables to the rest of the fleet are pulled, or thin.
 */
describe.runIf(hasNats && hasHosts)('a fleet of several hosts', () => {
  let pool: Pool
  let model: Model
  let nats: NatsServer
  beforeAll(async () => {
    pool = await Pool.create({ threads: 1 })
    model = await Model.load(pool, fixture)
    nats = await NatsServer.start('-a', '0.0.0.0')
  })
  afterAll(async () => {
    await nats.stop()
    await pool.close()
  })

  const startWorker = (host: Host, prefix: string) => {
    const url = `nats://${host.here}:${nats.port}`
    return MemberProcess.workerOn(host, url, '--host', host.address, '--nats-prefix', prefix)
  }

  const startGateway = (prefix: string) => MemberProcess.gateway(nats.url, '--nats-prefix', prefix)

  /** What one machine alone answers to a seed. */
  async function expectedText(seed: number, maxTokens: number): Promise<string> {
    const options = { maxTokens, ignoreEnd: true, sampling: { temperature: 1, topP: 1, seed } }
    return (await model.generate('ROMEO:', options).result).text
  }

  async function textOf({ url }: MemberProcess, seed: number, maxTokens: number): Promise<string> {
    const body = { prompt: 'ROMEO:', max_tokens: maxTokens, ignore_eos: true, seed }
    const answer = await post(`${url}/v1/completions`, body)
    const text = await answer.text()
    expect(answer.status, text).toBe(200)
    return JSON.parse(text).choices[0].text
  }

  /** A metric of a member: the sum of its series. */
  async function metricOf({ url }: MemberProcess, name: string): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text()
    const values = [...text.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'gm'))]
    return values.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** Resolves once a metric is what it is to be. @throws if it takes half a minute */
  async function reaches(member: MemberProcess, name: string, value: number): Promise<void> {
    const end = performance.now() + 30_000
    for (;;) {
      const now = await metricOf(member, name)
      if (now === value) return
      if (performance.now() > end) throw new Error(`${name} is still ${now}, not ${value}`)
      await setTimeout(20)
    }
  }

  it('goes on elsewhere when the cable of a host is pulled, and takes it back when it is plugged in', async () => {
    using first = new Host()
    using second = new Host()
    await using worker = await startWorker(first, 'pulled')
    await using other = await startWorker(second, 'pulled')
    await using gateway = await startGateway('pulled')
    const resumes = () => metricOf(gateway, 'dotpool_gateway_resumes_total')
    // what the worker had may be through by the time that its cable is pulled
    for (let seed = 0; (await resumes()) === 0; ) {
      await reaches(gateway, 'dotpool_gateway_workers', 2)
      const asked: { seed: number; text: Promise<string> }[] = []
      // the other worker may have been found to be much faster: then this one is asked once that has a lot to do
      while ((await metricOf(worker, 'vllm:num_requests_running')) === 0) {
        const text = textOf(gateway, seed, 600)
        text.catch(() => {})
        asked.push({ seed: seed++, text })
        await setTimeout(50)
      }
      first.unplug()
      await reaches(gateway, 'dotpool_gateway_workers', 1)
      for (const { seed, text } of asked) expect(await text).toBe(await expectedText(seed, 600))
      first.plug()
    }
    await reaches(gateway, 'dotpool_gateway_workers', 2)
    // what it had has long been answered
    for (const member of [worker, other]) await reaches(member, 'vllm:num_requests_running', 0)
  })

  it('answers the same over a cable that is thin, so that messages are late and lost', async () => {
    using host = new Host()
    host.narrow('512kbit')
    await using worker = await startWorker(host, 'slow')
    await using gateway = await startGateway('slow')
    const seeds = [1, 2, 3, 4]
    const texts = await Promise.all(seeds.map((seed) => textOf(gateway, seed, 100)))
    for (const [i, seed] of seeds.entries()) expect(texts[i]).toBe(await expectedText(seed, 100))
    await reaches(worker, 'vllm:num_requests_running', 0)
  })
})
