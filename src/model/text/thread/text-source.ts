import { join } from 'node:path'
import { FileLimit, ifThere, readBytes } from '../../json/files.js'

const CONFIG = 'tokenizer_config.json'

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
  const read = async (name: string, limit: number): Promise<SourceFile | undefined> => {
    const file = join(folder, name)
    const bytes = await ifThere(readBytes(file, limit))
    return bytes && { file, bytes }
  }
  const tokenizer = await read('tokenizer.json', FileLimit.tokenizer)
  const config = (await read(CONFIG, FileLimit.tokenizerConfig)) ?? {
    file: join(folder, CONFIG),
    bytes: undefined,
  }
  const template = await read('chat_template.jinja', FileLimit.chatTemplate)
  return { format: 'json', tokenizer, config, template }
}
