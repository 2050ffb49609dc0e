import { epoch, isLater } from "./cursors.js";
import { Dropped } from "./endings.js";

/**
 * Which events have come, which are in the owner's hands, and which are done.
 *
 * @typedef {{ events: any[], cursor: string, done: () => Promise<void> }} Batch
 */
export class Ledger {
  /** Everything up to here has been received; a new connection goes on from here. @type {string | null} */
  position = null;
  /** Everything up to here is handled and stored. @type {string | null} */
  settled = null;
  /** Batches that are in the owner's hands. @type {Batch[]} */
  outstanding = [];
  /** Stores one after the other. @type {Promise<unknown>} */
  #storing = Promise.resolve();
  #store;
  #acknowledge;

  /**
   * @param {import("../types/index.d.ts").CursorStore} store
   * @param {(cursor: string) => void} acknowledge
   */
  constructor(store, acknowledge) {
    this.#store = store;
    this.#acknowledge = acknowledge;
  }

  async load() {
    this.position = this.settled = (await this.#store.load()) ?? null;
  }

  /**
   * Take the server's word for the place: at the first start, and after a gap. It is stored at once, so that a program
   * that ends before its first event does not begin at another place next time.
   *
   * @param {string} cursor
   */
  async beginAt(cursor) {
    if (cursor === this.position) return;
    this.outstanding = [];
    this.position = cursor;
    await this.settleTo(cursor);
  }

  /**
   * What is new in a piece, as a batch; nothing if nothing in it is new.
   *
   * @param {any} piece
   * @returns {Batch | undefined}
   */
  take({ prev, cursor, events = [] }) {
    const place = this.position;
    if (!place || epoch(prev) !== epoch(place) || isLater(prev, place)) {
      throw new Dropped(`there is a hole between ${place} and ${prev}`);
    }
    const fresh = events.filter((/** @type {any} */ event) => isLater(event.cursor, place));
    if (isLater(cursor, place)) this.position = cursor;
    if (!fresh.length) return undefined;
    /** @type {Batch} */
    const batch = { events: fresh, cursor, done: () => this.settle(batch) };
    this.outstanding.push(batch);
    return batch;
  }

  /** The position has moved without an event: it is handled when everything before it is. */
  async passOver() {
    const last = this.outstanding.at(-1);
    if (!this.position) return;
    if (last) last.cursor = this.position;
    else await this.settleTo(this.position);
  }

  /**
   * Store a batch's place, or one inside it, and acknowledge.
   *
   * @param {Batch} batch
   * @param {string} [inside]
   */
  async settle(batch, inside) {
    if (!this.outstanding.includes(batch)) return;
    await this.settleTo(inside ?? batch.cursor);
    // Only now: if the store fails, the batch is still to be done.
    if (!inside) this.outstanding.splice(0, this.outstanding.indexOf(batch) + 1);
  }

  /** @param {string} cursor */
  async settleTo(cursor) {
    const storing = this.#storing.then(async () => {
      const before = this.settled;
      if (!before || epoch(before) !== epoch(cursor) || isLater(cursor, before)) {
        await this.#store.save(cursor);
        this.settled = cursor;
      }
      if (this.settled) this.#acknowledge(this.settled);
    });
    this.#storing = storing.catch(() => {}); // told to whoever has asked for this one
    await storing;
  }
}
