import { Charts } from './charts.js'
import { streamCompletion } from './completion.js'
import { type Answer, Conversation } from './conversation.js'
import { find } from './dom.js'
import { FigureReader } from './figures.js'
import { listenForKey, showKeyForm } from './key-form.js'
import { openPanel } from './panel.js'
import { type Model, Server, ServerError } from './server.js'
import { Settings } from './settings.js'
import { load, save } from './stored.js'
import { readTemplate, type Template } from './template.js'
import { AnswerView, questionView } from './turn-view.js'
import { type State, Watch } from './watch.js'

const root = new URL('.', document.baseURI)
/** Servers of one origin, behind several paths, keep apart what they remember. */
const remembered = (what: string) => `dotpool.${what}:${root.pathname}`

/** What a model without a chat template continues a text by. A server's own default is a few words. */
const CONTINUATION_TOKENS = 256

/** How near to its end the page is read at its end: it goes on with it then. */
const NEAR_PIXELS = 64

class Chat {
  readonly #server = new Server(root)
  readonly #conversation = new Conversation(remembered('conversation'))
  readonly #settings = new Settings(remembered('settings'))
  readonly #charts = new Charts(find('charts', HTMLElement), find('charts-time', HTMLElement))
  #figures = new FigureReader()
  #models: readonly Model[] = []
  #template: Template = { chats: true, canThink: false }
  #running: AbortController | undefined
  #last: { answer: Answer; view: AnswerView } | undefined

  readonly #list = find('conversation', HTMLElement)
  readonly #prompt = find('prompt', HTMLTextAreaElement)
  readonly #select = find('model', HTMLSelectElement)
  readonly #send = find('send', HTMLButtonElement)
  readonly #stop = find('stop', HTMLButtonElement)
  readonly #clear = find('clear', HTMLButtonElement)

  start(): void {
    for (const turn of this.#conversation.turns) {
      if (turn.role === 'user') this.#list.append(questionView(turn))
      else this.#showAnswer(turn)
    }
    this.#listen()
    this.#refresh()
    scrollToEnd()
    this.#prompt.focus()
    const watch = new Watch(
      this.#server,
      (state) => this.#showState(state),
      (scrape) => this.#charts.add(this.#figures.read(scrape, this.#select.value)),
    )
    void watch.run()
  }

  #listen(): void {
    find('composer', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      this.#ask()
    })
    this.#prompt.addEventListener('keydown', (event) => {
      // while characters are being composed, Enter chooses one
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      this.#ask()
    })
    this.#prompt.addEventListener('input', () => this.#fitPrompt())
    document.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#running?.abort()
    })
    this.#stop.addEventListener('click', () => this.#running?.abort())
    this.#clear.addEventListener('click', () => {
      this.#running?.abort()
      this.#conversation.clear()
      this.#last = undefined
      this.#list.replaceChildren()
      this.#refresh()
      this.#prompt.focus()
    })
    this.#select.addEventListener('change', () => {
      save(remembered('model'), this.#select.value)
      // where the server does not answer, its state says so, and models are loaded anew afterwards
      this.#useModel().catch(() => {})
    })
    listenForKey(this.#server, () => {})
    // a page that is left may never come back
    addEventListener('pagehide', () => this.#conversation.save())
    document.addEventListener('visibilitychange', () => this.#conversation.save())
  }

  // ---- the server ---------------------------------------------------------------------------------

  async #showState({ kind, text }: State): Promise<void> {
    const state = find('state', HTMLElement)
    state.textContent = text
    state.dataset.kind = kind
    showKeyForm(kind === 'locked')
    if (kind !== 'ready') return
    if (document.activeElement === document.body) this.#prompt.focus()
    await this.#loadModels()
  }

  async #loadModels(): Promise<void> {
    this.#models = (await (await this.#server.get('v1/models')).json()).data
    const wanted = this.#select.value || load(remembered('model'))
    this.#select.replaceChildren(...this.#models.map(({ id }) => new Option(id)))
    this.#select.disabled = this.#models.length < 2
    if (this.#models.some(({ id }) => id === wanted)) this.#select.value = wanted as string
    await this.#useModel()
  }

  async #useModel(): Promise<void> {
    this.#figures = new FigureReader()
    this.#charts.clear()
    this.#template = await readTemplate(this.#server, this.#select.value)
    this.#settings.canThink = this.#template.canThink
    this.#refresh()
  }

  // ---- questions and answers ------------------------------------------------------------------------

  #ask(): void {
    const { value } = this.#prompt
    if (value.trim() === '' || this.#running !== undefined) return
    if (!this.#settings.check()) {
      openPanel()
      this.#settings.report()
      return
    }
    this.#prompt.value = ''
    this.#fitPrompt()
    // a text that is continued may end with a line
    const text = this.#template.chats ? value.trim() : value
    this.#list.append(questionView(this.#conversation.ask(text)))
    void this.#answer()
  }

  /** Another answer in the place of the last. */
  #askAgain(): void {
    if (this.#running !== undefined) return
    this.#conversation.turns.pop()
    this.#list.lastElementChild?.remove()
    this.#last = undefined
    void this.#answer()
  }

  #showAnswer(answer: Answer): void {
    this.#last?.view.update(false)
    const view = new AnswerView(answer, () => this.#askAgain())
    this.#last = { answer, view }
    this.#list.append(view.element)
  }

  async #answer(): Promise<void> {
    const running = new AbortController()
    const answer = this.#conversation.answer(this.#select.value || 'dotpool')
    const request = this.#toRequest()
    this.#running = running
    this.#showAnswer(answer)
    this.#refresh()
    scrollToEnd()
    const view = this.#last?.view as AnswerView
    let frame = 0
    const update = () => {
      const isAtEnd = isNearEnd()
      view.update(true)
      if (isAtEnd) scrollToEnd()
    }
    try {
      await this.#stream(request, answer, running.signal, () => {
        cancelAnimationFrame(frame)
        frame = requestAnimationFrame(update)
      })
      answer.outcome = 'done'
    } catch (error) {
      answer.outcome = running.signal.aborted ? 'stopped' : 'failed'
      answer.error = error instanceof ServerError ? error.message : String(error)
    }
    cancelAnimationFrame(frame)
    update()
    this.#running = undefined
    this.#conversation.save()
    this.#refresh()
  }

  async #stream(
    { path, body }: { path: string; body: object },
    answer: Answer,
    signal: AbortSignal,
    onPart: () => void,
  ): Promise<void> {
    const asked = performance.now()
    let first = asked
    let last = asked
    for await (const part of streamCompletion(this.#server, path, body, signal)) {
      answer.finishReason = part.finishReason ?? answer.finishReason
      answer.tokens = part.tokens ?? answer.tokens
      if (part.text === '' && part.reasoning === '') continue
      last = performance.now()
      if (answer.firstTokenMillis === undefined) first = last
      answer.firstTokenMillis ??= first - asked
      answer.reasoning += part.reasoning
      answer.text += part.text
      if (part.text !== '' && answer.reasoning !== '') answer.thinkingMillis ??= last - first
      onPart()
    }
    // the first token is the prompt's
    const between = (answer.tokens ?? 0) - 1
    if (between > 0 && last > first) answer.tokensPerSecond = (between / (last - first)) * 1000
  }

  /** What is asked of the server for the conversation as it is. */
  #toRequest(): { path: string; body: object } {
    const { system, thinking, ...sampling } = this.#settings.values
    const { messages } = this.#conversation
    const model = this.#select.value || undefined
    if (!this.#template.chats) {
      const prompt = messages.map(({ content }) => content).join('')
      const body = { model, prompt, max_tokens: CONTINUATION_TOKENS, ...sampling }
      return { path: 'v1/completions', body }
    }
    const instructions = system === '' ? [] : [{ role: 'system', content: system }]
    const choice =
      thinking === undefined ? {} : { chat_template_kwargs: { enable_thinking: thinking } }
    const body = { model, messages: [...instructions, ...messages], ...sampling, ...choice }
    return { path: 'v1/chat/completions', body }
  }

  // ---- what is shown --------------------------------------------------------------------------------

  /** Brings what depends on whether something runs, or was said, in line with it. */
  #refresh(): void {
    const { turns } = this.#conversation
    const isRunning = this.#running !== undefined
    const hadFocus = document.activeElement === this.#send || document.activeElement === this.#stop
    this.#send.hidden = isRunning
    this.#stop.hidden = !isRunning
    if (hadFocus) this.#prompt.focus()
    this.#clear.disabled = turns.length === 0
    const welcome = find('welcome', HTMLElement)
    welcome.hidden = turns.length > 0
    const model = this.#models.find(({ id }) => id === this.#select.value)
    if (welcome.hidden || model === undefined) return
    const { chats } = this.#template
    find('welcome-title', HTMLElement).textContent =
      `${chats ? 'Ask' : 'Begin a text for'} ${model.id}`
    const context = `Its context holds ${model.max_model_len.toLocaleString('en')} tokens.`
    const plain = 'It has no chat template, so it continues what you write.'
    const stays = 'The conversation stays in this browser.'
    find('welcome-text', HTMLElement).textContent = `${chats ? '' : `${plain} `}${context} ${stays}`
  }

  #fitPrompt(): void {
    const { style, offsetHeight, clientHeight } = this.#prompt
    style.height = 'auto'
    style.height = `${this.#prompt.scrollHeight + offsetHeight - clientHeight}px`
  }
}

function isNearEnd(): boolean {
  const { scrollHeight, clientHeight, scrollTop } = document.documentElement
  return scrollHeight - clientHeight - scrollTop < NEAR_PIXELS
}

function scrollToEnd(): void {
  scrollTo({ top: document.documentElement.scrollHeight })
}

new Chat().start()
