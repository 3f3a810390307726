import { find } from './dom.js'
import { load, save } from './stored.js'

const numbers = ['temperature', 'top_p', 'top_k', 'min_p', 'max_tokens', 'seed'] as const

/** What requests ask for. What is left empty is not sent, so that the server's default holds. */
export interface SettingsValues extends Partial<Record<(typeof numbers)[number], number>> {
  readonly system: string
  /** Whether the model shall think first. */
  readonly thinking?: boolean
}

/** The form of sampling parameters. It is remembered. */
export class Settings {
  readonly #form = find('settings', HTMLFormElement)
  readonly #thinking = find('thinking-field', HTMLLabelElement)
  readonly #key: string

  /** @param key in the browser's storage */
  constructor(key: string) {
    this.#key = key
    const saved = (load(key) as Record<string, string> | undefined) ?? {}
    for (const field of this.#fields) field.value = saved[field.name] ?? field.value
    this.#form.addEventListener('input', () => this.#save())
    this.#form.addEventListener('reset', () => setTimeout(() => this.#save()))
    this.#form.addEventListener('submit', (event) => event.preventDefault())
  }

  /** Whether the model's template asks if it shall think. */
  set canThink(canThink: boolean) {
    this.#thinking.hidden = !canThink
  }

  /** False where a value is out of range; the form says so then. */
  check(): boolean {
    return this.#form.checkValidity()
  }

  /** Shows what is wrong. */
  report(): void {
    this.#form.reportValidity()
  }

  get values(): SettingsValues {
    const data = new FormData(this.#form)
    const thinking = this.#thinking.hidden ? '' : data.get('thinking')
    const filled = numbers.filter((name) => data.get(name))
    return {
      ...Object.fromEntries(filled.map((name) => [name, Number(data.get(name))])),
      system: String(data.get('system')).trim(),
      ...(thinking === '' ? {} : { thinking: thinking === 'on' }),
    }
  }

  get #fields(): (HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement)[] {
    return [...this.#form.querySelectorAll<HTMLInputElement>('[name]')]
  }

  #save(): void {
    const values = this.#fields.map(({ name, value }) => [name, value])
    save(this.#key, Object.fromEntries(values))
  }
}
