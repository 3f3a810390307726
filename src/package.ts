import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The package's folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url))

const description = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }

/** The package's version. */
export const version = description.version
