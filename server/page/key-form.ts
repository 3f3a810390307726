import { find } from './dom.js'
import type { Server } from './server.js'

/** Asks for an API key, and says when there is one. */
export function askForKey(server: Server, onKey: () => void): void {
  const form = find('key-form', HTMLFormElement)
  const input = find('key', HTMLInputElement)
  form.hidden = false
  input.focus()
  form.onsubmit = (event) => {
    event.preventDefault()
    server.useKey(input.value)
    form.hidden = true
    onKey()
  }
}
