/** What the browser keeps of that name; undefined where it keeps none, or may not. */
export function load(name: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(name) ?? 'null') ?? undefined
  } catch {
    return undefined
  }
}

/** Has the browser keep something that JSON can tell. Where it may not, or is full, it lasts as long as the page. */
export function save(name: string, value: unknown): void {
  try {
    localStorage.setItem(name, JSON.stringify(value))
  } catch {
    // nothing is lost yet
  }
}
