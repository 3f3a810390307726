import { once } from 'node:events'
import net from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'

/** The way of one process to NATS: a port of its own, whose connections can be cut, stalled and slowed. */
export class Link {
  #server = net.createServer((socket) => this.#connect(socket))
  /** @type {Set<net.Socket>} */
  #sockets = new Set()
  #target
  #isCut = false
  #delayMillis = 0
  /** While nothing passes. @type {Promise<void> | undefined} */
  #stalled
  #endStall = () => {}

  /** @param {number} target where NATS listens */
  constructor(target) {
    this.#target = target
  }

  /** @param {number} target */
  static async open(target) {
    const link = new Link(target)
    link.#server.listen(0, '127.0.0.1')
    await once(link.#server, 'listening')
    return link
  }

  get port() {
    return /** @type {net.AddressInfo} */ (this.#server.address()).port
  }

  /** Resets what is connected, and whoever connects. */
  cut() {
    this.#isCut = true
    this.#drop()
  }

  /** Lets nothing pass, and tells nobody, as a cable that is pulled out. */
  stall() {
    this.#stalled = new Promise((resolve) => {
      this.#endStall = resolve
    })
  }

  /** Lets everything pass late. @param {number} millis */
  slow(millis) {
    this.#delayMillis = millis
  }

  /** Lets everything pass. */
  mend() {
    this.#isCut = false
    this.#delayMillis = 0
    this.#stalled = undefined
    this.#endStall()
  }

  close() {
    this.#server.close()
    this.#drop()
  }

  #drop() {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  #connect(/** @type {net.Socket} */ socket) {
    if (this.#isCut) {
      socket.resetAndDestroy()
      return
    }
    const upstream = net.connect(this.#target, '127.0.0.1')
    for (const end of [socket, upstream]) {
      end.setNoDelay()
      this.#sockets.add(end)
      end.on('close', () => this.#sockets.delete(end))
    }
    void this.#carry(socket, upstream)
    void this.#carry(upstream, socket)
  }

  /**
   * @param {net.Socket} from
   * @param {net.Socket} to
   */
  async #carry(from, to) {
    const passage = (/** @type {AsyncIterable<Buffer>} */ pieces) => this.#pass(pieces)
    try {
      await pipeline(from, passage, to)
    } catch {
      // one end is gone, and so is the other
      from.destroy()
      to.destroy()
    }
  }

  async *#pass(/** @type {AsyncIterable<Buffer>} */ pieces) {
    for await (const piece of pieces) {
      if (this.#delayMillis > 0) await setTimeout(this.#delayMillis)
      await this.#stalled
      yield piece
    }
  }
}
