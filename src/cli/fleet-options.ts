import { type Command, Option } from 'commander'
import { ArgumentError } from '../errors.js'
import { collect } from './options.js'

/** Options that make a process a member of a fleet. */
export interface FleetFlags {
  nats?: string[]
  role?: 'worker' | 'gateway'
  natsPrefix?: string
  natsCreds?: string
  natsUser?: string
  natsPassword?: string
  natsToken?: string
  natsCa?: string
  natsCert?: string
  natsKey?: string
}

/** What a command line would show to others on the machine may come from the environment. */
export function fleetOptions(): Option[] {
  const [nats, role] = [
    new Option(
      '--nats <url>',
      'join a fleet on this NATS server, such as nats://127.0.0.1:4222; can be repeated for a cluster',
    )
      .argParser(collect)
      .env('DOTPOOL_NATS'),
    new Option(
      '--role <role>',
      'a worker takes requests of the fleet, a gateway speaks HTTP and has no model (default: both)',
    ).choices(['worker', 'gateway']),
  ]
  return [nats, role, ...natsOptions()]
}

/** Options of a connection to NATS. */
export function natsOptions(): Option[] {
  return [
    new Option(
      '--nats-prefix <word>',
      "what the fleet's subjects begin with, so that fleets can share a server (default: dotpool)",
    ),
    new Option('--nats-creds <file>', 'credentials for NATS: a JWT and its seed').env(
      'DOTPOOL_NATS_CREDS',
    ),
    new Option('--nats-user <name>', 'a user of NATS').env('DOTPOOL_NATS_USER'),
    new Option('--nats-password <word>', 'its password').env('DOTPOOL_NATS_PASSWORD'),
    new Option('--nats-token <word>', 'a token for NATS').env('DOTPOOL_NATS_TOKEN'),
    new Option('--nats-ca <file>', 'authorities whose certificates of NATS are trusted, in PEM'),
    new Option('--nats-cert <file>', 'a certificate to show to NATS'),
    new Option('--nats-key <file>', 'its private key'),
  ]
}

/**
 * What the server's package is told; undefined without a fleet.
 *
 * @param command that has parsed the flags
 * @throws ArgumentError for what only a fleet has
 */
export function toFleet(
  { nats, role, ...flags }: FleetFlags,
  command: Command,
): object | undefined {
  const { natsPrefix: prefix, natsCreds: credsFile, natsUser: user, natsPassword: password } = flags
  const { natsToken: token, natsCa: ca, natsCert: cert, natsKey: key } = flags
  if (nats === undefined) {
    const given = fleetOptions().find((option) => {
      return command.getOptionValueSource(option.attributeName()) === 'cli'
    })
    if (given === undefined) return undefined
    throw new ArgumentError('--nats', `the URL of a NATS server beside ${given.long}`, 'none')
  }
  const tls = (ca ?? cert ?? key) === undefined ? undefined : { ca, cert, key }
  return { nats: { servers: nats, credsFile, user, password, token, tls }, prefix, role }
}
