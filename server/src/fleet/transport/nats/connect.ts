import { readFileSync } from 'node:fs'
import { checkServerIdentity } from 'node:tls'
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type TlsOptions,
} from '@nats-io/transport-node'
import { ArgumentError } from 'dotpool'

/** Which NATS servers to connect to, and as whom. */
export interface NatsOptions {
  /** Such as `nats://127.0.0.1:4222`; `tls://` encrypts. Several of one cluster: any of them will do. */
  readonly servers: readonly string[]
  /** A file of credentials, as `nsc generate creds` writes it: a JWT, and the seed of its key. */
  readonly credsFile?: string | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** Files in PEM: whom to trust, instead of the system's authorities; a certificate of one's own, and its key. */
  readonly tls?: NatsTlsFiles | undefined
}

export interface NatsTlsFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** A connection that was cut is noticed after two or three of these without an answer. */
const PING_MILLIS = 2000
/** How often a lost connection is tried again. */
const RECONNECT_MILLIS = 250
/** What one try may take. */
const CONNECT_MILLIS = 5000

/**
 * Connects to NATS. A connection that is lost later is tried again without end.
 *
 * @param name that the server shows of it
 * @throws ArgumentError for options that contradict each other, a file that cannot be read, and where there is no server
 *   or it refuses
 */
export async function connectNats(options: NatsOptions, name: string): Promise<NatsConnection> {
  const settings = { ...toConnectionOptions(options), name }
  try {
    return await connect(settings)
  } catch (error) {
    const [argument, expected] = isRefusal(error)
      ? ['credentials', `some that ${options.servers} accept`]
      : ['nats', `a NATS server that answers at ${options.servers}`]
    throw new ArgumentError(argument, expected, (error as Error).message)
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof errors.AuthorizationError ||
    error instanceof errors.UserAuthenticationExpiredError
  )
}

/** @throws ArgumentError */
function toConnectionOptions(options: NatsOptions): ConnectionOptions {
  const urls = options.servers.map(toUrl)
  if (urls.length === 0) throw new ArgumentError('nats.servers', 'at least one URL', 'none')
  const tls = toTls(options.tls, urls)
  return {
    servers: urls.map(({ host }) => host),
    ...toCredentials(options, urls),
    ...(tls && { tls }),
    timeout: CONNECT_MILLIS,
    pingInterval: PING_MILLIS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MILLIS,
    ignoreAuthErrorAbort: true,
  }
}

function toUrl(text: string): URL {
  const expected = 'a URL such as nats://127.0.0.1:4222'
  const whole = text.includes('://') ? text : `nats://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  const isKnown = url?.host && ['nats:', 'tls:'].includes(url.protocol)
  if (!isKnown) throw new ArgumentError('nats.servers', expected, JSON.stringify(text))
  return url
}

/** At most one kind of them; a user and a password may be a part of the URL. */
function toCredentials(options: NatsOptions, urls: readonly URL[]): ConnectionOptions {
  const named = urls.find(({ username }) => username !== '')
  const user = options.user ?? (named && decodeURIComponent(named.username))
  const pass = options.password ?? (named && decodeURIComponent(named.password))
  const { credsFile, token } = options
  const kinds = Object.entries({ credsFile, token, user }).filter(([, value]) => value)
  if (kinds.length > 1) {
    const got = kinds.map(([kind]) => kind).join(' and ')
    throw new ArgumentError('credentials', 'one of credsFile, token and user', got)
  }
  if (pass !== undefined && user === undefined) {
    throw new ArgumentError('password', 'a user beside it', 'none')
  }
  if (credsFile !== undefined) {
    return { authenticator: credsAuthenticator(readPem('credsFile', credsFile)) }
  }
  if (token !== undefined) return { token }
  return user === undefined ? {} : { user, ...(pass !== undefined && { pass }) }
}

function toTls(files: NatsTlsFiles | undefined, urls: readonly URL[]): TlsOptions | undefined {
  const isWanted = urls.some(({ protocol }) => protocol === 'tls:')
  if (files === undefined && !isWanted) return undefined
  const { ca, cert, key } = files ?? {}
  if ((cert === undefined) !== (key === undefined)) {
    throw new ArgumentError('tls', 'a certificate and its key', `only ${cert ?? key}`)
  }
  const decoder = new TextDecoder()
  const read = (file: string) => decoder.decode(readPem('tls', file))
  return {
    ...{ checkServerIdentity: identityChecker(urls) },
    ...(ca !== undefined && { ca: read(ca) }),
    ...(cert !== undefined && { cert: read(cert) }),
    ...(key !== undefined && { key: read(key) }),
  }
}

/** The client names no host that is an address: then the certificate must be of one of the servers that were asked for. */
function identityChecker(urls: readonly URL[]): typeof checkServerIdentity {
  const hosts = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ''))
  return (host, certificate) => {
    const problem = checkServerIdentity(host, certificate)
    const isOfOther = hosts.some((other) => checkServerIdentity(other, certificate) === undefined)
    return isOfOther ? undefined : problem
  }
}

function readPem(argument: string, file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ArgumentError(argument, 'a file that can be read', (error as Error).message)
  }
}
