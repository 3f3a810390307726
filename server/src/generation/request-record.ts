import type { FastifyReply, FastifyRequest } from 'fastify'
import { toApiError } from '../errors.js'
import type { Metrics } from '../metrics.js'
import type { Origin, ServedGeneration } from '../models/served-model.js'
import { ClientGoneError } from '../request-scope.js'
import type { GenerationBody, UsageBody } from '../schemas/common.js'
import { type ChoicePart, readChoices } from './choices.js'
import { type Operation, type Outcome, RequestSpan } from './request-span.js'
import { toUsage } from './usage.js'

/** The status of requests whose client has left, as nginx logs them. */
const CLIENT_GONE = 499

const recorded = new WeakSet<FastifyRequest>()

/** Whether what becomes of a request is logged here. */
export function isRecorded(request: FastifyRequest): boolean {
  return recorded.has(request)
}

/** What becomes of a request: measured while it runs, and told at its end in one line of the log, and a span. */
export class RequestRecord {
  readonly #request: FastifyRequest
  readonly #metrics: Metrics
  readonly #model: string
  readonly #span: RequestSpan
  readonly #start = performance.now()
  #runs: readonly ServedGeneration[] = []
  #choices = 1
  #firstTokenMillis: number | undefined
  #embedded: UsageBody | undefined
  #hasEnded = false

  constructor(
    request: FastifyRequest,
    { raw }: FastifyReply,
    metrics: Metrics,
    {
      operation,
      model,
      body,
    }: { operation: Operation; model: string; body: Partial<GenerationBody> },
  ) {
    this.#request = request
    this.#metrics = metrics
    this.#model = model
    this.#span = new RequestSpan(request, operation, model, body)
    recorded.add(request)
    // a client may leave while nobody reads the parts
    raw.once('close', () => this.end(raw.writableFinished ? undefined : new ClientGoneError()))
  }

  /** Where its work comes from. */
  get origin(): Origin {
    return { id: this.#request.id, trace: this.#span.carrier }
  }

  /** The parts of all choices as they come. @param choices for each prompt */
  async *watch(
    runs: readonly ServedGeneration[],
    choices: number,
  ): AsyncGenerator<ChoicePart, void, void> {
    this.#runs = runs
    this.#choices = choices
    const last = new Map<number, number>()
    for await (const part of readChoices(runs)) {
      if (part.tokens.length > 0) {
        const now = performance.now()
        const before = last.get(part.index)
        if (before !== undefined) this.#metrics.observeGap(this.#model, now - before)
        last.set(part.index, now)
        this.#firstTokenMillis ??= now - this.#start
      }
      yield part
    }
  }

  /** Texts were embedded. @param usage what it took */
  embedded(usage: Pick<UsageBody, 'prompt_tokens' | 'total_tokens'>): void {
    const prompt_tokens_details = { cached_tokens: 0 }
    this.#embedded = { ...usage, completion_tokens: 0, prompt_tokens_details }
  }

  /** @param error why it failed, if it did; only the first call counts */
  end(error: unknown): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const millis = performance.now() - this.#start
    // one that was not read to its end would be generated to it
    if (error !== undefined) for (const run of this.#runs) void run.return()
    void Promise.allSettled(this.#runs.map(({ result }) => result)).then((settled) => {
      const results = settled.flatMap((run) => (run.status === 'fulfilled' ? [run.value] : []))
      const usage = this.#embedded ?? toUsage(results, this.#choices)
      const outcome = { usage, results, error }
      this.#span.end(outcome)
      this.#log(outcome, millis)
    })
  }

  #log({ usage, results, error }: Outcome, millis: number): void {
    const { log } = this.#request
    const queued = results.flatMap(({ timing }) => timing.queueMillis ?? [])
    const line = {
      model: this.#model,
      status: statusOf(error),
      usage,
      queueMillis: round(queued.length > 0 ? Math.max(...queued) : undefined),
      firstTokenMillis: round(this.#firstTokenMillis),
      millis: round(millis),
      finishReasons: results.map(({ finishReason }) => finishReason),
      ...this.#span.ids,
    }
    if (error === undefined) log.info(line, 'completed')
    else if (error instanceof ClientGoneError) log.info(line, 'the client has left')
    else if (line.status >= 500) log.error({ ...line, err: error }, 'failed')
    else log.info({ ...line, reason: String(error) }, 'refused')
  }
}

function statusOf(error: unknown): number {
  if (error === undefined) return 200
  return error instanceof ClientGoneError ? CLIENT_GONE : toApiError(error).statusCode
}

function round(millis: number | undefined): number | undefined {
  return millis === undefined ? undefined : Math.round(millis * 10) / 10
}
