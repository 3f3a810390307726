import { ArgumentError } from '../errors.js'

/** The package that serves; a package of its own, so that the library stays small. */
const PACKAGE = '@dotpool/server'

/**
 * Loads the package that serves.
 *
 * @param command that needs it
 * @throws ArgumentError where it is not installed
 */
export async function importServer<Package>(command: string): Promise<Package> {
  try {
    return await import(PACKAGE)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    const expected = `the package ${PACKAGE}; run \`npm install ${PACKAGE}\``
    throw new ArgumentError(command, expected, 'none')
  }
}
