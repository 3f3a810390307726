import { join } from 'node:path'
import { ArgumentError, describe } from '../../../errors.js'
import { checkOptions, type OptionNames } from '../../../options.js'
import { viewOf } from '../../../views.js'
import { FileLimit, ifThere, readBytes } from '../../json/files.js'
import type { TextFiles } from './service.js'

const TOKENIZER = 'tokenizer.json'
const CONFIG = 'tokenizer_config.json'
const TEMPLATE = 'chat_template.jinja'

/** The most bytes that each may have. */
export const textLimits: Readonly<Record<keyof TextFiles, number>> = {
  [TOKENIZER]: FileLimit.tokenizer,
  [CONFIG]: FileLimit.tokenizerConfig,
  [TEMPLATE]: FileLimit.chatTemplate,
}

/** A file as it was read, in memory that threads share. */
export interface SourceFile {
  readonly file: string
  readonly bytes: Uint8Array<SharedArrayBuffer>
}

/**
 * What a checkpoint says about text, not parsed yet. Whoever needs it again parses the same bytes, whatever
 * became of the files.
 */
export type TextSource =
  | {
      readonly format: 'json'
      /** tokenizer.json. */
      readonly tokenizer: SourceFile | undefined
      /** tokenizer_config.json, without bytes where it is not there. */
      readonly config: SourceFile | { readonly file: string; readonly bytes: undefined }
      /** chat_template.jinja. */
      readonly template: SourceFile | undefined
    }
  | {
      readonly format: 'gguf'
      readonly header: SourceFile
      /** Of the whole file, bytes. */
      readonly size: number
    }

/**
 * Reads the files of a checkpoint folder that are about text, of which none must be there.
 *
 * @throws FormatError naming the file that cannot be read
 */
export async function readTextSource(folder: string): Promise<TextSource & { format: 'json' }> {
  const read = async (name: keyof TextFiles): Promise<SourceFile | undefined> => {
    const file = join(folder, name)
    const bytes = await ifThere(readBytes(file, textLimits[name]))
    return bytes && { file, bytes }
  }
  const tokenizer = await read(TOKENIZER)
  const config = (await read(CONFIG)) ?? { file: join(folder, CONFIG), bytes: undefined }
  const template = await read(TEMPLATE)
  return { format: 'json', tokenizer, config, template }
}

/**
 * The same of files that have been read.
 *
 * @param folder of which errors say that they lie in it
 */
export function textSourceOf(
  folder: string,
  files: ReadonlyMap<keyof TextFiles, Uint8Array<SharedArrayBuffer>>,
): TextSource & { format: 'json' } {
  const get = (name: keyof TextFiles): SourceFile | undefined => {
    const bytes = files.get(name)
    return bytes && { file: join(folder, name), bytes }
  }
  const config = get(CONFIG) ?? { file: join(folder, CONFIG), bytes: undefined }
  return { format: 'json', tokenizer: get(TOKENIZER), config, template: get(TEMPLATE) }
}

const fileNames: OptionNames<TextFiles> = { [TOKENIZER]: true, [CONFIG]: true, [TEMPLATE]: true }

/**
 * Copies the contents of such files.
 *
 * @throws ArgumentError naming what is no file about text, or too large
 */
export function copyTextSource(files: TextFiles): TextSource & { format: 'json' } {
  const checked = checkOptions(files, fileNames, 'files')
  const copy = (name: keyof TextFiles): SourceFile | undefined => {
    const given = checked[name]
    return given === undefined ? undefined : { file: name, bytes: copyBytes(name, given) }
  }
  const config = copy(CONFIG) ?? { file: CONFIG, bytes: undefined }
  return { format: 'json', tokenizer: copy(TOKENIZER), config, template: copy(TEMPLATE) }
}

function copyBytes(name: keyof TextFiles, given: unknown): Uint8Array<SharedArrayBuffer> {
  const bytes = viewOf(Uint8Array, given)
  if (bytes === undefined || bytes.length > textLimits[name]) {
    const expected = `a Uint8Array of at most ${textLimits[name]} bytes`
    throw new ArgumentError(`files['${name}']`, expected, describe(given))
  }
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}
