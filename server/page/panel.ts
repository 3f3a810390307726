import { find } from './dom.js'

/** Where there is room for the panel beside the conversation; page.css knows it too. */
const wide = matchMedia('(min-width: 64rem)')

const toggle = find('panel-toggle', HTMLButtonElement)
const panel = find('panel', HTMLElement)
const main = find('main', HTMLElement)

function setOpen(isOpen: boolean): void {
  toggle.ariaExpanded = `${isOpen}`
  panel.hidden = !isOpen
  // over the conversation, where there is no room beside it
  main.inert = isOpen && !wide.matches
}

export function openPanel(): void {
  setOpen(true)
}

toggle.addEventListener('click', () => setOpen(toggle.ariaExpanded !== 'true'))
panel.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || wide.matches) return
  // it would stop the answer, too
  event.stopPropagation()
  setOpen(false)
  toggle.focus()
})
wide.addEventListener('change', () => setOpen(wide.matches))
setOpen(wide.matches)
