import type { Answer } from './load.js'

/** A part of a response, and when it came. */
export interface Part {
  time: number
  bytes: Buffer
}

/** Reads server-sent events. One that came in parts has come with the last of them. */
export function readEvents(parts: readonly Part[]): Omit<Answer, 'sent'> {
  const pieces: number[] = []
  let tokens = 0
  let text = ''
  for (const { time, bytes } of parts) {
    const events = (text + bytes.toString('latin1')).split('\n\n')
    text = events.pop() ?? ''
    for (const event of events) {
      if (!event.startsWith('data: {')) continue
      const { choices, usage } = JSON.parse(event.slice('data: '.length))
      if (choices[0]?.text) pieces.push(time)
      tokens = usage?.completion_tokens ?? tokens
    }
  }
  return { pieces, tokens }
}
