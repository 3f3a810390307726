import { cp, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { folder as fixture } from '../oracle.js'

/** Writes a conversation in short. */
const chatTemplate =
  "{%- for m in messages %}{{ m.role | upper + ':\\n' + m.content + '\\n' }}{%- endfor %}"

/** Copies the fixture, with a chat template, to a folder that is to be removed. */
export async function copyModel() {
  const folder = await mkdtemp(join(tmpdir(), 'dotpool-chaos-'))
  await cp(fixture, folder, { recursive: true })
  const config = { chat_template: chatTemplate }
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config))
  return folder
}
