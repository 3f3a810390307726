import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { serveCommand } from '#src/cli/serve.js'
import { version } from '#src/version.js'

const read = (name: string) => readFileSync(`deploy/fleet/${name}`, 'utf8')
// biome-ignore lint/suspicious/noExplicitAny: any manifest
type Manifest = any

const compose: Manifest = parse(read('compose.yaml'), { merge: true })
const { nats, gateway, worker } = compose.services

const manifests: Manifest[] = readdirSync('deploy/fleet')
  .filter((name) => name !== 'compose.yaml')
  .flatMap((name) =>
    parseAllDocuments(read(name), { merge: true }).map((document) => {
      expect(document.errors, name).toEqual([])
      return document.toJS()
    }),
  )
const find = (kind: string, name: string): Manifest => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}

const roles = ['gateway', 'worker'] as const
const deployments = Object.fromEntries(
  roles.map((role) => [role, find('Deployment', `dotpool-${role}`)]),
)
const podOf = (deployment: Manifest) => deployment.spec.template.spec
const containerOf = (deployment: Manifest) => podOf(deployment).containers[0]
const natsPod = podOf(find('StatefulSet', 'dotpool-nats'))
const [natsContainer] = natsPod.containers

const configs: [where: string, config: string][] = [
  // there, $$ is a $
  ['compose.yaml', compose.configs.nats.content.split('$$').join('$')],
  ['nats.yaml', find('ConfigMap', 'dotpool-nats').data['nats.conf']],
]
const hasNats = spawnSync('nats-server', ['--version']).status === 0

/** Settings of a configuration of NATS: names, also of nested ones. */
const settingsOf = (config: string) =>
  [...config.matchAll(/^\s*(\w+)[ :]/gm)].map(([, name]) => name)

/** What the server may take after requests were drained, seconds. */
const CLOSE = 5

describe('a fleet in deploy', () => {
  it.each(roles)('a %s has only options that serve has, and its role', (role) => {
    const known = serveCommand.options.map(({ long }) => long)
    for (const args of [compose.services[role].command, containerOf(deployments[role]).args]) {
      const used = args.filter((arg: string) => arg.startsWith('--'))
      expect(known).toEqual(expect.arrayContaining(used))
      expect(args[args.indexOf('--role') + 1]).toBe(role)
      expect(used.includes('--model')).toBe(role === 'worker')
    }
  })

  it('has variables of the environment that serve reads, with the address and the token of NATS', () => {
    const known = serveCommand.options.map(({ envVar }) => envVar)
    for (const { environment } of [gateway, worker]) {
      expect(known).toEqual(expect.arrayContaining(Object.keys(environment)))
      expect(environment.DOTPOOL_NATS).toBe('nats://nats:4222')
      expect(environment.DOTPOOL_NATS_TOKEN).toMatch(/^\$\{DOTPOOL_NATS_TOKEN:\?/)
    }
    const [tokenEnv] = natsContainer.env
    for (const role of roles) {
      const { env, args } = containerOf(deployments[role])
      expect(env).toEqual([tokenEnv])
      expect(known).toContain(env[0].name)
      const { name } = find('Service', 'dotpool-nats').metadata
      expect(args[args.indexOf('--nats') + 1]).toBe(
        `nats://${name}:${natsContainer.ports[0].containerPort}`,
      )
    }
  })

  it('configures NATS the same in both, with a token, JetStream on a volume, and a port for health', () => {
    for (const [, config] of configs) {
      const settings = settingsOf(config)
      expect(settings).toEqual(expect.arrayContaining(['jetstream', 'store_dir', 'token']))
      expect(config).toContain('store_dir: /data')
      expect(config).toMatch(/token: \$DOTPOOL_NATS_TOKEN\n/)
      const [, port] = /http_port: (\d+)/.exec(config) ?? []
      expect(natsContainer.ports[1]).toEqual({ name: 'monitor', containerPort: Number(port) })
      expect(nats.healthcheck.test.at(-1)).toContain(`:${port}/`)
    }
    expect(nats.volumes).toEqual(['nats:/data'])
    expect(natsContainer.volumeMounts[0]).toEqual({ name: 'data', mountPath: '/data' })
    expect(natsContainer.image).toBe(nats.image)
  })

  // `apt install nats-server`, or https://nats.io
  it.skipIf(!hasNats).each(configs)(
    'has a configuration in %s that nats-server takes',
    (_, config) => {
      const folder = mkdtempSync(join(tmpdir(), 'dotpool-nats-'))
      try {
        const path = join(folder, 'nats.conf')
        writeFileSync(path, config.replace('/data', folder))
        const env = { ...process.env, DOTPOOL_NATS_TOKEN: 'secret' }
        const { status, stderr } = spawnSync('nats-server', ['-t', '-c', path], { env })
        expect(status, String(stderr)).toBe(0)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )

  it('runs two workers behind a gateway, of the image of this version', () => {
    expect(worker.deploy.replicas).toBe(2)
    expect(worker.ports).toBeUndefined()
    expect(gateway.ports).toEqual(['127.0.0.1:8000:8000'])
    for (const { image } of [
      gateway,
      worker,
      ...roles.map((role) => containerOf(deployments[role])),
    ]) {
      expect(image).toBe(`dotpool:${version}`)
    }
    expect(read('compose.yaml')).toContain(`-t dotpool:${version} `)
  })

  it.each(roles)('waits for requests of a %s to be drained before it kills', (role) => {
    const { args, lifecycle } = containerOf(deployments[role])
    const drain = Number(args[args.indexOf('--drain') + 1])
    const preStop = Number(lifecycle?.preStop.exec.command[1] ?? 0)
    const grace = podOf(deployments[role]).terminationGracePeriodSeconds
    expect(grace).toBeGreaterThan(preStop + drain + CLOSE)
    const preset = Number(serveCommand.options.find(({ long }) => long === '--drain')?.defaultValue)
    const inCompose = /^(\d+)s$/.exec(compose.services[role].stop_grace_period)?.[1]
    expect(Number(inCompose)).toBeGreaterThan(preset + CLOSE)
  })

  it('selects the pods that it makes, and names ports and volumes that there are', () => {
    for (const deployment of [...Object.values(deployments), find('StatefulSet', 'dotpool-nats')]) {
      const { name } = deployment.metadata
      const { labels } = deployment.spec.template.metadata
      expect(labels).toEqual({ 'app.kubernetes.io/name': name })
      expect(deployment.spec.selector.matchLabels).toEqual(labels)
      const container = containerOf(deployment)
      const ports = container.ports.map((port: Manifest) => port.name)
      const { startupProbe, readinessProbe, livenessProbe } = container
      for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
        if (probe !== undefined) expect(ports).toContain(probe.httpGet.port)
      }
      const service = manifests.find((one) => one.kind === 'Service' && one.metadata.name === name)
      if (service !== undefined) {
        expect(service.spec.selector).toEqual(labels)
        for (const { targetPort } of service.spec.ports) expect(ports).toContain(targetPort)
      }
      const claims = deployment.spec.volumeClaimTemplates ?? []
      const volumes = [
        ...podOf(deployment).volumes,
        ...claims.map((claim: Manifest) => claim.metadata),
      ]
      const mounts = container.volumeMounts.map((mount: Manifest) => mount.name)
      expect(volumes.map((volume: Manifest) => volume.name).sort()).toEqual(mounts.sort())
    }
    const [expression] = find('PodMonitor', 'dotpool-fleet').spec.selector.matchExpressions
    expect(expression.values).toEqual(roles.map((role) => `dotpool-${role}`))
  })

  it('leaves more memory than the models take', () => {
    const { args, resources } = containerOf(deployments.worker)
    for (const [options, limit] of [
      [args, resources.limits.memory.replace('Gi', '')],
      [worker.command, worker.mem_limit.replace('g', '')],
    ]) {
      const [, gigabytes] = /^(\d+)g$/.exec(options[options.indexOf('--memory') + 1]) ?? []
      expect(Number(limit)).toBeGreaterThan(Number(gigabytes))
    }
  })

  it('scales by metrics and a stream that there are, of the pods that there are', () => {
    const sources = ['metrics.ts', 'fleet/gateway/metrics.ts']
    const metrics = sources.map((file) => readFileSync(`server/src/${file}`, 'utf8')).join('')
    const { triggers, scaleTargetRef } = find('ScaledObject', 'dotpool-worker').spec
    expect(scaleTargetRef.name).toBe(deployments.worker.metadata.name)
    const queries = triggers.filter(({ type }: Manifest) => type === 'prometheus')
    const names = queries.flatMap(({ metadata }: Manifest) =>
      [...metadata.query.matchAll(/(?:vllm:|dotpool_)\w+/g)].map(([name]) =>
        name.replace(/_bucket$/, ''),
      ),
    )
    expect(names).toHaveLength(4)
    for (const name of names) expect(metrics).toContain(`'${name}'`)
    for (const { metadata } of queries) {
      for (const [, pods] of metadata.query.matchAll(/pod=~"([^"]+)"/g)) {
        expect('dotpool-worker-5d9c-x').toMatch(new RegExp(`^${pods}$`))
      }
    }
    const lines = triggers.find(({ type }: Manifest) => type === 'nats-jetstream').metadata
    const { args } = containerOf(deployments.worker)
    const [model] = args[args.indexOf('--model') + 1].split('=')
    expect(Buffer.from(lines.consumer, 'base64url').toString()).toBe(model)
    expect(readFileSync('docs/batches.md', 'utf8')).toContain(`\`${lines.stream}\``)
    expect(lines.natsServerMonitoringEndpoint).toMatch(/^dotpool-nats\.[\w.]+:8222$/)
    expect(find('ScaledObject', 'dotpool-gateway').spec.scaleTargetRef.name).toBe('dotpool-gateway')
  })
})
