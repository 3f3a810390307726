import type { Op } from '../native/op.js'
import type { OpList } from './op-list.js'

/** Work for the whole pool: ops that run one after the other, each on all workers. */
export interface Program {
  /**
   * At most sixteen ops, or a list of any length that the caller keeps and may run again once it has been released.
   * The program keeps referenced what they name.
   */
  ops(): readonly Op[] | OpList
  /** Called once no worker can touch the program's memory any more, however the call ended. */
  release?(): void
}
