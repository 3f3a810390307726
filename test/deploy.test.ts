import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { serveCommand } from '#src/cli/serve.js'
import { version } from '#src/version.js'

// a script, which has no types
const script: string = new URL('../scripts/platforms.js', import.meta.url).href
const { platforms }: { platforms: { name: string }[] } = await import(script)

const read = (path: string) => readFileSync(`deploy/${path}`, 'utf8')
// biome-ignore lint/suspicious/noExplicitAny: any manifest
type Manifest = any

const manifests: Manifest[] = readdirSync('deploy/kubernetes').flatMap((name) => {
  return parseAllDocuments(read(`kubernetes/${name}`), { merge: true }).map((document) => {
    expect(document.errors, name).toEqual([])
    return document.toJS()
  })
})
const ofKind = (kind: string): Manifest => {
  const found = manifests.find((manifest) => manifest.kind === kind)
  if (found === undefined) throw new Error(`there is no ${kind}`)
  return found
}

const unit = read('dotpool.service').replaceAll('\\\n', ' ')
const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''
const dockerfile = read('Dockerfile').replaceAll('\\\n', ' ')
const entrypoint: string[] = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '')
const deployment = ofKind('Deployment')
const pod = deployment.spec.template.spec
const [container] = pod.containers

/** The commands that end in arguments of `dotpool serve`, and those arguments. */
const commands: [where: string, args: string[]][] = [
  [
    'dotpool.service',
    setting('ExecStart')
      .split(/ serve /)[1]
      .trim()
      .split(/\s+/),
  ],
  ['Dockerfile', entrypoint.slice(entrypoint.indexOf('serve') + 1)],
  ['dotpool.yaml', container.args],
  ['README.md', [...read('README.md').matchAll(/:0\.1\.0 (--model .*)/g)][0][1].split(' ')],
]

const drainOf = (args: readonly string[]) => Number(args[args.indexOf('--drain') + 1])

/** What the server may take after requests were drained, seconds. */
const CLOSE = 5

describe('deploy', () => {
  it.each(commands)('%s has only options that serve has', (_, args) => {
    const known = serveCommand.options.map(({ long }) => long)
    const used = args.filter((arg) => arg.startsWith('--'))
    expect(used.length).toBeGreaterThan(0)
    expect(known).toEqual(expect.arrayContaining(used))
  })

  it('runs a file that the package has', () => {
    const main = `node_modules/dotpool/${JSON.parse(readFileSync('package.json', 'utf8')).bin.dotpool}`
    expect(entrypoint[1]).toBe(main)
    expect(setting('ExecStart')).toContain(main)
  })

  it.each(['x64', 'arm64'])('the image for %s has what pack:all makes', (cpu) => {
    const names = ['dotpool', 'dotpool-server', ...platforms.map(({ name }) => `dotpool-${name}`)]
    const tarballs = names.map((name) => `packages/${name}-${version}.tgz`)
    const globs = dockerfile.match(/\.\/packages\/\S+\.tgz/g) ?? []
    const matched = globs.map((glob) => {
      const plain = glob.replaceAll('"', '').replace('./', '').replace('$cpu', cpu)
      const pattern = plain.replaceAll('.', '\\.').replaceAll('*', '.*')
      return tarballs.filter((tarball) => new RegExp(`^${pattern}$`).test(tarball))
    })
    expect(matched).toEqual([
      [`packages/dotpool-${version}.tgz`],
      [`packages/dotpool-server-${version}.tgz`],
      [`packages/dotpool-linux-${cpu}-${version}.tgz`],
    ])
    expect(read('Dockerfile.dockerignore')).toContain('!packages/*.tgz')
  })

  it('the image runs as another user than root, and its version is that of the package', () => {
    expect(dockerfile).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m)
    expect(container.image).toBe(`dotpool:${version}`)
    expect(read('README.md')).toContain(`-t dotpool:${version} `)
  })

  it('waits for requests to be drained before it kills', () => {
    const [, inUnit] = commands[0]
    expect(Number(setting('TimeoutStopSec'))).toBeGreaterThan(drainOf(inUnit) + CLOSE)
    const preStop = Number(container.lifecycle.preStop.exec.command[1])
    const grace = pod.terminationGracePeriodSeconds
    expect(grace).toBeGreaterThan(preStop + drainOf(container.args) + CLOSE)
  })

  it('selects the pods that it makes', () => {
    const { labels } = deployment.spec.template.metadata
    expect(deployment.spec.selector.matchLabels).toEqual(labels)
    expect(ofKind('Service').spec.selector).toEqual(labels)
    for (const kind of ['PodDisruptionBudget', 'PodMonitor']) {
      expect(ofKind(kind).spec.selector.matchLabels).toEqual(labels)
    }
    for (const kind of ['HorizontalPodAutoscaler', 'ScaledObject']) {
      expect(ofKind(kind).spec.scaleTargetRef.name).toBe(deployment.metadata.name)
    }
  })

  it('names ports, volumes and secrets that there are', () => {
    const ports = container.ports.map(({ name }: { name: string }) => name)
    const { startupProbe, readinessProbe, livenessProbe } = container
    const probes = [startupProbe, readinessProbe, livenessProbe]
    for (const { httpGet } of probes) expect(ports).toContain(httpGet.port)
    expect(probes.map(({ httpGet }) => httpGet.path)).toEqual(['/readyz', '/readyz', '/livez'])
    expect(ports).toContain(ofKind('Service').spec.ports[0].targetPort)
    const [endpoint] = ofKind('PodMonitor').spec.podMetricsEndpoints
    expect(ports).toContain(endpoint.port)
    const volumes = pod.volumes.map(({ name }: { name: string }) => name)
    const mounts = container.volumeMounts.map(({ name }: { name: string }) => name)
    expect(volumes).toEqual(mounts)
    const secrets = [pod.volumes[1].secret.secretName, endpoint.authorization.credentials.name]
    for (const secret of secrets) expect(read('README.md')).toContain(`secret generic ${secret} `)
  })

  it('scales by a metric that there is, of the pods that there are', () => {
    const metrics = readFileSync('server/src/metrics.ts', 'utf8')
    const [trigger] = ofKind('ScaledObject').spec.triggers
    const [, metric, pods] = /^sum\((\S+)\{pod=~"(\S+)"\}\)$/.exec(trigger.metadata.query) ?? []
    expect(metrics).toContain(`'${metric}'`)
    expect(`${deployment.metadata.name}-5d9c-x`).toMatch(new RegExp(`^${pods}$`))
    const [rule] = parse(/```yaml\n([^`]*)```/.exec(read('README.md'))?.[1] ?? '').rules
    expect(rule.seriesQuery).toContain(`${metric}{`)
    expect(ofKind('HorizontalPodAutoscaler').spec.metrics[0].pods.metric.name).toBe(rule.name.as)
  })

  it('leaves more memory than the models take', () => {
    const [, gigabytes] =
      /^(\d+)g$/.exec(container.args[container.args.indexOf('--memory') + 1]) ?? []
    const [, limit] = /^(\d+)Gi$/.exec(container.resources.limits.memory) ?? []
    expect(Number(limit)).toBeGreaterThan(Number(gigabytes))
  })
})
