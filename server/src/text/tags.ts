/** Where the end of a text may be the beginning of a tag; its length where it is none. */
export function tagBegunAt(text: string, tag: string): number {
  for (let from = Math.max(0, text.length - tag.length + 1); from < text.length; from++) {
    if (tag.startsWith(text.slice(from))) return from
  }
  return text.length
}
