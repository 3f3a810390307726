import { find } from './dom.js'
import type { Server } from './server.js'

const form = find('key-form', HTMLFormElement)
const input = find('key', HTMLInputElement)

/** Has the form give the server its key. @param onKey called when there is one, whether it is right or not */
export function listenForKey(server: Server, onKey: () => void): void {
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    server.useKey(input.value)
    input.value = ''
    onKey()
  })
}

/** @param isNeeded whether the server wants a key that it has not got */
export function showKeyForm(isNeeded: boolean): void {
  form.hidden = !isNeeded
  if (isNeeded) input.focus()
}
