import { BLOCK } from '../../../server/dist/fleet/routing/chain-hashes.js'
import { Random } from './random.js'

/** Tokens by a log-normal law. */
interface Lengths {
  readonly mu: number
  readonly sigma: number
}

/** What clients ask for. */
export interface Workload {
  readonly about: string
  /** Programs, each with a system prompt of its own. The first is used most: the next half as much, a third, … */
  readonly programs: number
  readonly systemTokens: Lengths
  /** What a turn adds to the prompt, beside the answer before. */
  readonly messageTokens: Lengths
  readonly answerTokens: Lengths
  /** Whether conversations go on. */
  readonly hasTurns: boolean
}

/** A law of that mean. */
function ofMean(mean: number, sigma: number): Lengths {
  return { mu: Math.log(mean) - sigma ** 2 / 2, sigma }
}

/*
 * Fitted to Azure's LLM inference trace 2023, conversation (github.com/Azure/AzurePublicDataset, Patel et al., Splitwise,
 * ISCA 2024): 19,366 requests in 3,502 s, prompts of 1155 tokens (log-normal, sigma 0.99), answers of 211 (mu 5.02,
 * sigma 0.86).
 */
const azurePrompt: Lengths = ofMean(1155, 0.99)
const azureAnswer: Lengths = { mu: 5.02, sigma: 0.86 }

export const workloads: Record<string, Workload> = {
  chat: {
    about:
      'conversations behind one system prompt of 512 tokens, prompts of 1155 tokens on average',
    programs: 1,
    systemTokens: ofMean(512, 0),
    // with the turns below, prompts are as long as Azure's
    messageTokens: ofMean(216, 1.2),
    answerTokens: azureAnswer,
    hasTurns: true,
  },
  programs: {
    about:
      '200 programs with prompts of 1500 tokens of their own, questions of 200 and answers of 60 tokens',
    programs: 200,
    systemTokens: ofMean(1500, 0.6),
    messageTokens: ofMean(200, 1),
    answerTokens: ofMean(60, 0.8),
    hasTurns: false,
  },
  unshared: {
    about: 'prompts that share nothing, of 1155 tokens on average',
    programs: 0,
    systemTokens: ofMean(1, 0),
    messageTokens: azurePrompt,
    answerTokens: azureAnswer,
    hasTurns: false,
  },
}

/** The longest prompt with its answer. */
const MAX_CONTEXT = 8192

/** A turn of a conversation. */
export interface Turn {
  /** Hashes of the whole blocks of the prompt. */
  readonly hashes: readonly number[]
  readonly promptTokens: number
  /** Hashes of the whole blocks of prompt and answer. */
  readonly chain: readonly number[]
  readonly answerTokens: number
}

/** Makes conversations: the same for the same seed, whatever becomes of them. */
export class Conversations {
  readonly #workload: Workload
  readonly #seed: number
  readonly #systems: Beginning[]
  #count = 0
  #hashes = 0

  constructor(workload: Workload, seed: number) {
    this.#workload = workload
    this.#seed = seed
    const random = new Random(seed)
    this.#systems = Array.from({ length: workload.programs }, () => {
      const tokens = lengthOf(workload.systemTokens, MAX_CONTEXT / 4, random)
      return { tokens, chain: this.extend([], tokens) }
    })
  }

  begin(): Conversation {
    const random = new Random(this.#seed + ++this.#count)
    const system = this.#systems[random.zipf(this.#systems.length)] ?? { tokens: 0, chain: [] }
    return new Conversation(this, this.#workload, random, system)
  }

  /**
   * The chain of a longer text. Hashes are consecutive numbers, which are equal where texts are, and never by chance.
   */
  extend(chain: readonly number[], tokens: number): number[] {
    const longer = chain.slice()
    while (longer.length < Math.floor(tokens / BLOCK)) longer.push(this.#hashes++)
    return longer
  }
}

/** What has been said so far. */
interface Beginning {
  readonly tokens: number
  readonly chain: readonly number[]
}

export class Conversation {
  readonly #conversations: Conversations
  readonly #workload: Workload
  readonly #random: Random
  #said: Beginning
  #turns = 0

  constructor(
    conversations: Conversations,
    workload: Workload,
    random: Random,
    beginning: Beginning,
  ) {
    this.#conversations = conversations
    this.#workload = workload
    this.#random = random
    this.#said = beginning
  }

  /** The next turn, with its answer. */
  next(): Turn {
    const { messageTokens, answerTokens } = this.#workload
    const { tokens, chain } = this.#said
    const message = lengthOf(messageTokens, (MAX_CONTEXT - tokens) / 2, this.#random)
    const promptTokens = tokens + message
    const answer = lengthOf(answerTokens, MAX_CONTEXT - promptTokens, this.#random)
    const hashes = this.#conversations.extend(chain, promptTokens)
    const longer = this.#conversations.extend(hashes, promptTokens + answer)
    this.#said = { tokens: promptTokens + answer, chain: longer }
    this.#turns++
    return { promptTokens, hashes, answerTokens: answer, chain: longer }
  }

  /**
   * How long after the last turn was sent the next is, milliseconds; undefined where none is.
   *
   * Fitted to Mooncake's conversation trace (github.com/kvcache-ai/Mooncake, Qin et al., FAST 2025; 12,031 requests in
   * 3,537 s): all prompts begin with the same block, turn n is followed by another in n / (n + 3) of cases (there 0.25,
   * 0.39, 0.50, 0.55, 0.61, 0.65 …), and log-normally later (mu 4.88, sigma 0.98, of seconds).
   */
  pause(): number | undefined {
    const isOver = this.#random.uniform() > this.#turns / (this.#turns + 3)
    if (!this.#workload.hasTurns || isOver || this.#said.tokens > MAX_CONTEXT / 2) return undefined
    return 1000 * this.#random.logNormal(4.88, 0.98)
  }
}

function lengthOf({ mu, sigma }: Lengths, most: number, random: Random): number {
  return Math.max(1, Math.min(Math.round(random.logNormal(mu, sigma)), Math.floor(most)))
}
