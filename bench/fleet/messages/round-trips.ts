import { connect } from '@nats-io/transport-node'

/** Microseconds of requests to the peer, one after the other. */
export async function measureRoundTrips(url: string, seconds: number): Promise<number[]> {
  const connection = await connect({ servers: url })
  const samples: number[] = []
  const end = performance.now() + 1000 * seconds
  while (performance.now() < end) {
    const start = performance.now()
    await connection.request('echo', 'x')
    samples.push(1000 * (performance.now() - start))
  }
  await connection.close()
  return samples
}
