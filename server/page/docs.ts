import { element, find } from './dom.js'
import { listenForKey, showKeyForm } from './key-form.js'
import { describeType, descriptionOf, objectIn, type Schema } from './schema.js'
import { Server, ServerError } from './server.js'

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>
}

interface Operation {
  readonly summary?: string
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: Schema
  }[]
  readonly requestBody?: Content
  readonly responses: Readonly<Record<string, Content & { readonly description: string }>>
}

interface OpenApi {
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const server = new Server(new URL('..', document.baseURI))

async function show(): Promise<void> {
  const status = find('version', HTMLElement)
  try {
    const response = await server.get('openapi.json')
    const { info, paths }: OpenApi = await response.json()
    status.textContent = `version ${info.version}`
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    )
    // OpenAI's first
    routes.sort((a, b) => Number(b.path.startsWith('/v1/')) - Number(a.path.startsWith('/v1/')))
    showKeyForm(false)
    const sections = routes.map(toSection)
    find('routes', HTMLElement).replaceChildren(...sections)
    find('contents', HTMLElement).replaceChildren(
      ...routes.map(({ path, method }, i) => {
        return element('a', { href: `#${sections[i].id}` }, verb(method), path)
      }),
    )
    if (location.hash !== '') document.getElementById(location.hash.slice(1))?.scrollIntoView()
  } catch (error) {
    status.textContent = error instanceof ServerError ? error.message : String(error)
    const isLocked = error instanceof ServerError && error.status === 401
    showKeyForm(isLocked)
    // a link takes no key along
    find('document', HTMLElement).hidden = isLocked
  }
}

interface Route {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}

function toSection({ path, method, operation }: Route): HTMLElement {
  const { summary = '', parameters = [], requestBody, responses } = operation
  const id = `${method}${path.replace(/[^\w-]+/g, '-')}`.replace(/-$/, '')
  const title = element('h2', {}, verb(method), path)
  const section = element('section', { id }, title, element('p', {}, summary))
  if (parameters.length > 0) {
    const fields = parameters.map(({ name, schema, required = false }) => {
      return toField(name, schema, required)
    })
    section.append(
      element('h3', {}, 'Parameters'),
      element('dl', { className: 'fields' }, ...fields),
    )
  }
  for (const { schema } of Object.values(requestBody?.content ?? {})) {
    section.append(element('h3', {}, 'Body'), toFields(schema))
  }
  section.append(element('h3', {}, 'Answers'))
  for (const [status, { description, content = {} }] of Object.entries(responses)) {
    for (const [type, { schema }] of Object.entries(content)) {
      section.append(toAnswer(status, type, description, schema))
    }
  }
  return section
}

function toAnswer(status: string, type: string, description: string, schema: Schema): HTMLElement {
  const told = description === 'Default Response' ? type : `${type}. ${description}.`
  const name = element('code', {}, status)
  const summary = element('summary', {}, name, ' ', element('span', {}, told))
  return element('details', {}, summary, toFields(schema))
}

function toFields(schema: Schema): HTMLElement {
  const { properties = {}, required = [] } = objectIn(schema) ?? {}
  const fields = Object.entries(properties)
  // what must be given first
  fields.sort(([a], [b]) => Number(required.includes(b)) - Number(required.includes(a)))
  return element(
    'dl',
    { className: 'fields' },
    ...fields.map(([name, field]) => toField(name, field, required.includes(name))),
  )
}

function toField(name: string, schema: Schema, isRequired: boolean): HTMLElement {
  const term = element('dt', {}, element('code', {}, name))
  if (isRequired) term.append(' ', element('small', {}, 'required'))
  const type = element('span', { className: 'type' }, describeType(schema))
  const definition = element('dd', {}, type)
  const description = descriptionOf(schema)
  if (description !== '') definition.append(element('span', {}, description))
  const fields = Object.keys(objectIn(schema)?.properties ?? {})
  if (fields.length > 0) {
    const summary = element('summary', {}, fields.join(', '))
    definition.append(element('details', {}, summary, toFields(schema)))
  }
  return element('div', {}, term, definition)
}

function verb(method: string): HTMLElement {
  return element('span', { className: 'verb' }, `${method.toUpperCase()} `)
}

listenForKey(server, show)
void show()
