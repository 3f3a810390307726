import { NR } from '../layouts/tiles.js'

/** Which share of an op's work a call of its TypeScript function is to do. */
export interface Share {
  part: number
  parts: number
}

/** Which of `count` pieces a share is: [from, to). All shares together are all pieces, each once. */
export function rangeOf({ part, parts }: Share, count: number): [from: number, to: number] {
  return [Math.floor((count * part) / parts), Math.floor((count * (part + 1)) / parts)]
}

/** The channels [from, to) of a share, whole blocks. */
export function channelsOf(share: Share, outFeatures: number): [from: number, to: number] {
  const [from, to] = rangeOf(share, Math.ceil(outFeatures / NR))
  return [from * NR, Math.min(to * NR, outFeatures)]
}
