import { ArgumentError } from 'dotpool'

/** What is wrong with a NATS server on which nothing can be kept. */
export function noJetStream(cause: unknown): ArgumentError {
  const { name, message } = cause as Error
  const expected =
    name === 'JetStreamNotEnabled'
      ? 'a server with JetStream: start it by `nats-server --jetstream`'
      : 'a server that keeps what a fleet needs'
  return new ArgumentError('nats', expected, message)
}
