import { load, save } from './stored.js'

/** What somebody has written. */
export interface Question {
  readonly role: 'user'
  readonly text: string
}

/** What a model has answered, or not. */
export interface Answer {
  readonly role: 'assistant'
  readonly model: string
  text: string
  reasoning: string
  /** How long it has thought before it answered. */
  thinkingMillis: number | undefined
  /** `failed` with an `error`; `stopped` by whoever asked, or because the page was left. */
  outcome: 'running' | 'done' | 'stopped' | 'failed'
  error: string | undefined
  finishReason: string | undefined
  firstTokenMillis: number | undefined
  /** Undefined before the end, and where it was stopped. */
  tokens: number | undefined
  tokensPerSecond: number | undefined
}

export type Turn = Question | Answer

/** The turns so far. They stay when the page is loaded again. */
export class Conversation {
  readonly #key: string
  readonly turns: Turn[]

  /** @param key in the browser's storage */
  constructor(key: string) {
    this.#key = key
    this.turns = (load(key) as Turn[] | undefined) ?? []
    for (const turn of this.turns) {
      if (turn.role === 'assistant' && turn.outcome === 'running') turn.outcome = 'stopped'
    }
  }

  ask(text: string): Question {
    const question: Question = { role: 'user', text }
    this.turns.push(question)
    return question
  }

  answer(model: string): Answer {
    const answer: Answer = {
      ...{ role: 'assistant', model, text: '', reasoning: '', outcome: 'running' },
      ...{ thinkingMillis: undefined, error: undefined, finishReason: undefined },
      ...{ firstTokenMillis: undefined, tokens: undefined, tokensPerSecond: undefined },
    }
    this.turns.push(answer)
    return answer
  }

  clear(): void {
    this.turns.length = 0
    this.save()
  }

  save(): void {
    save(this.#key, this.turns)
  }

  /** The messages that an answer answers. Questions that got none are left out, for templates want turns to alternate. */
  get messages(): { role: 'user' | 'assistant'; content: string }[] {
    const isAnswered = (at: number) => {
      const next = this.turns[at + 1]
      return next?.role !== 'assistant' || next.text !== '' || next.outcome === 'running'
    }
    return this.turns
      .filter((turn, at) => (turn.role === 'user' ? isAnswered(at) : turn.text !== ''))
      .map(({ role, text }) => ({ role, content: text }))
  }
}
