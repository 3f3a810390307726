type Clients = typeof import('./node-20/clients.js')

const [major] = process.versions.node.split('.').map(Number)

/** The newest versions of clients that run on this Node.js, which `npm run test:clients` installs. */
export const clients: Clients = await import(
  new URL(`./${major >= 22 ? 'current' : 'node-20'}/clients.js`, import.meta.url).href
)
