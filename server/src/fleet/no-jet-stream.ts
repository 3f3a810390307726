import { ArgumentError } from 'dotpool'

/** The error of a NATS server that has no JetStream. */
export function noJetStream(cause: unknown): ArgumentError {
  const expected = 'a server with JetStream: start it by `nats-server --jetstream`'
  return new ArgumentError('nats', expected, (cause as Error).message)
}
