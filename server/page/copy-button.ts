import { element } from './dom.js'

/** How long it says that it has copied. */
const SAID_MILLIS = 1500

/** A button that copies a text to the clipboard. */
export function copyButton(text: () => string): HTMLButtonElement {
  const button = element('button', { type: 'button' }, 'Copy')
  button.addEventListener('click', async () => {
    const copied = await copy(text())
    button.textContent = copied ? 'Copied' : 'Not allowed'
    setTimeout(() => {
      button.textContent = 'Copy'
    }, SAID_MILLIS)
  })
  return button
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // neither without TLS, away from localhost, nor without the user's permission
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const { activeElement } = document
  const area = element('textarea', { value: text, className: 'unseen' })
  document.body.append(area)
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  if (activeElement instanceof HTMLElement) activeElement.focus()
  return copied
}
