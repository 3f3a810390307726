import { type MarkedToken, marked, type Token, type Tokens } from 'marked'
import { copyButton } from './copy-button.js'
import { element } from './dom.js'

/**
 * Markdown as elements. They are made of its tokens, one by one, and never of HTML: what a model writes in HTML stays
 * text. Blocks that stay the same while a text grows keep their elements, and so a reader's selection in them.
 */
export class Markdown {
  readonly element = element('div', { className: 'markdown' })
  #blocks: readonly string[] = []

  update(text: string): void {
    const tokens = marked.lexer(text, { gfm: true, breaks: true }).filter(isShown)
    const changed = tokens.findIndex(({ raw }, i) => raw !== this.#blocks[i])
    const same = changed === -1 ? tokens.length : changed
    for (const child of [...this.element.children].slice(same)) child.remove()
    this.element.append(...tokens.slice(same).map(toBlock))
    this.#blocks = tokens.map(({ raw }) => raw)
  }
}

function isShown({ type }: Token): boolean {
  return type !== 'space' && type !== 'def'
}

function toBlock(token: Token): HTMLElement {
  const block = token as MarkedToken
  switch (block.type) {
    case 'heading':
      // below the page's own
      return element(`h${Math.min(block.depth + 2, 6)}` as 'h3', {}, ...toInline(block.tokens))
    case 'code':
      return toCode(block)
    case 'blockquote':
      return element('blockquote', {}, ...block.tokens.filter(isShown).map(toBlock))
    case 'list':
      return toList(block)
    case 'table':
      return toTable(block)
    case 'hr':
      return element('hr')
    default:
      return element('p', {}, ...toInline([block]))
  }
}

function toCode({ lang, text }: Tokens.Code): HTMLElement {
  const [language = ''] = lang?.split(/\s/) ?? []
  const head = element(
    'figcaption',
    {},
    element('span', {}, language),
    copyButton(() => text),
  )
  const pre = element('pre', { tabIndex: 0 }, element('code', {}, text))
  return element('figure', { className: 'code' }, head, pre)
}

function toList({ ordered, start, items }: Tokens.List): HTMLElement {
  const list = ordered ? element('ol', { start: Number(start) }) : element('ul')
  list.append(
    ...items.map(({ tokens }) => {
      // a tight list has text where a loose one has paragraphs
      const isText = ({ type }: Token) => type === 'text' || type === 'checkbox'
      const parts = tokens.filter(isShown)
      return element('li', {}, ...parts.flatMap((t) => (isText(t) ? toInline([t]) : [toBlock(t)])))
    }),
  )
  return list
}

function toTable({ header, rows }: Tokens.Table): HTMLElement {
  const toCell = (tag: 'th' | 'td') => (cell: Tokens.TableCell) =>
    element(tag, { className: cell.align ?? '' }, ...toInline(cell.tokens))
  const head = element('tr', {}, ...header.map(toCell('th')))
  const body = rows.map((row) => element('tr', {}, ...row.map(toCell('td'))))
  const table = element('table', {}, element('thead', {}, head), element('tbody', {}, ...body))
  return element('div', { className: 'scroll', tabIndex: 0 }, table)
}

function toInline(tokens: readonly Token[]): (Node | string)[] {
  return tokens.flatMap((token) => {
    const inline = token as MarkedToken
    switch (inline.type) {
      case 'paragraph':
        return toInline(inline.tokens)
      case 'text':
        return inline.tokens === undefined ? inline.text : toInline(inline.tokens)
      case 'strong':
      case 'em':
      case 'del':
        return element(inline.type, {}, ...toInline(inline.tokens))
      case 'codespan':
        return element('code', {}, inline.text)
      case 'br':
        return element('br')
      case 'checkbox':
        return inline.checked ? '☑ ' : '☐ '
      case 'link':
        return toLink(inline.href, toInline(inline.tokens))
      case 'image':
        // what is elsewhere would be told that it was looked at
        return toLink(inline.href, [inline.text || inline.href])
      case 'escape':
        return inline.text
      default:
        return inline.raw
    }
  })
}

const LINKED = /^(https?|mailto):/i

function toLink(href: string, children: (Node | string)[]): Node | (Node | string)[] {
  if (!LINKED.test(href) || !URL.canParse(href)) return children
  return element('a', { href, target: '_blank', rel: 'noopener noreferrer' }, ...children)
}
