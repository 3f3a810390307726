import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/**
 * Runs a command with its output next to ours.
 *
 * @param {string} command
 * @param {string[]} args
 */
export function run(command, ...args) {
  const { error, status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (error !== undefined) throw error
  if (status !== 0)
    throw new Error(`${[command, ...args].join(' ')} ended with exit code ${status}`)
}

/**
 * Creates a Python virtual environment in a folder; returns its interpreter.
 *
 * @param {string} folder
 */
export function makePython(folder) {
  const venv = join(folder, 'venv')
  run('python3', '-m', 'venv', venv)
  return join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python3')
}
