import { Scrape } from './prometheus.js'
import { type Server, ServerError } from './server.js'

/** How the server is. */
export interface State {
  readonly kind: 'ready' | 'unready' | 'unreachable' | 'locked'
  readonly text: string
}

const READY: State = { kind: 'ready', text: 'ready' }
const EVERY_MILLIS = 1000

/** Asks the server each second how it is, as long as somebody sees the page. */
export class Watch {
  readonly #server: Server
  readonly #onState: (state: State) => Promise<void>
  readonly #onScrape: (scrape: Scrape) => void
  #state: State | undefined

  /**
   * @param onState called when it has changed, and again where it throws that the server did not answer
   * @param onScrape called each time that there are metrics
   */
  constructor(
    server: Server,
    onState: (state: State) => Promise<void>,
    onScrape: (scrape: Scrape) => void,
  ) {
    this.#server = server
    this.#onState = onState
    this.#onScrape = onScrape
  }

  async run(): Promise<never> {
    for (;;) {
      const begun = performance.now()
      if (!document.hidden) await this.#look()
      await sleep(Math.max(0, begun + EVERY_MILLIS - performance.now()))
    }
  }

  async #look(): Promise<void> {
    try {
      await this.#server.get('readyz')
      const text = await (await this.#server.get('metrics')).text()
      await this.#tell(READY)
      this.#onScrape(new Scrape(text, performance.now()))
    } catch (error) {
      // it may have left amid its answer; what else it is, the console shall have
      if (!(error instanceof ServerError)) reportError(error)
      await this.#tell(this.#toState(error))
    }
  }

  #toState(error: unknown): State {
    const { status, message } = error as ServerError
    if (!(error instanceof ServerError) || status === undefined) {
      const text = 'The server cannot be reached. This page looks again each second.'
      return { kind: 'unreachable', text }
    }
    if (status !== 401) return { kind: 'unready', text: message }
    const text = this.#server.hasKey ? 'The API key is not valid.' : 'An API key is needed.'
    return { kind: 'locked', text }
  }

  async #tell(state: State): Promise<void> {
    if (state.kind === this.#state?.kind && state.text === this.#state.text) return
    await this.#onState(state)
    this.#state = state
  }
}

async function sleep(millis: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, millis))
}
