import { Ajv2020 } from 'ajv/dist/2020.js'

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, ResponseObject> }>>
}
interface ResponseObject {
  content?: Record<string, { schema: object }>
}

/** Checks responses against the OpenAPI document that the server generates. */
export class Conformance {
  readonly #document: Document
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true })
  /** What was checked: `POST /tokenize 200 application/json`. */
  readonly checked = new Set<string>()

  private constructor(document: Document) {
    this.#document = document
  }

  static async of(url: string): Promise<Conformance> {
    const response = await fetch(`${url}/openapi.json`)
    return new Conformance((await response.json()) as Document)
  }

  /** All answers of routes that went well: `POST /tokenize 200 application/json`. */
  get answers(): string[] {
    return Object.entries(this.#document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) =>
        Object.keys(responses[200].content ?? {}).map((type) => {
          return `${method.toUpperCase()} ${path} 200 ${type}`
        }),
      ),
    )
  }

  /** As the global one, for clients; it checks what comes back. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init)
    await this.check(init?.method?.toUpperCase() ?? 'GET', String(input), response)
    return response
  }

  /** Throws unless the document has the response, and it is as that says. Reads a copy. */
  async check(method: string, url: string, response: Response): Promise<void> {
    const path = this.#findPath(new URL(url).pathname)
    const { responses } = this.#document.paths[path][method.toLowerCase()]
    const { status } = response
    const described = responses[status] ?? responses[`${Math.floor(status / 100)}XX`]
    const type = response.headers.get('content-type')?.split(';')[0] ?? ''
    const schema = described?.content?.[type]?.schema
    if (schema === undefined) throw new Error(`${method} ${path}: no ${status} of ${type}`)
    this.checked.add(`${method} ${path} ${status} ${type}`)
    // a file may hold anything
    if (type === 'application/octet-stream') return
    const text = await response.clone().text()
    const bodies = type === 'text/event-stream' ? eventsOf(text) : [text]
    for (const body of bodies) this.#validate(schema, JSON.parse(body), `${method} ${path}`)
  }

  #validate(schema: object, body: unknown, route: string): void {
    const validate = this.#ajv.compile(schema)
    if (validate(body)) return
    const problems = this.#ajv.errorsText(validate.errors)
    throw new Error(`${route}: ${problems}: ${JSON.stringify(body)}`)
  }

  #findPath(pathname: string): string {
    const path = Object.keys(this.#document.paths).find((path) => {
      return new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`).test(pathname)
    })
    if (path === undefined) throw new Error(`the document has no path for ${pathname}`)
    return path
  }
}

/** The data of server-sent events, without comments and the end. */
export function eventsOf(text: string): string[] {
  return text
    .split('\n\n')
    .map((event) => /^data: (.*)$/m.exec(event)?.[1] ?? '')
    .filter((data) => data !== '' && data !== '[DONE]')
}
