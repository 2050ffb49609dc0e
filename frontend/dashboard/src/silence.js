/**
 * Notices that nothing was heard for too long. By the clock: timers of a hidden tab or a sleeping computer run late, and
 * a dead line gives neither close nor error.
 */
export class Silence {
  #over;
  #limit = 0;
  #heardAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(heardAt: number) => void} over - called once, with the time of the last sound */
  constructor(over) {
    this.#over = over;
  }

  /**
   * Begin to listen, or go on with another limit.
   *
   * @param {number} limit - in milliseconds
   */
  watch(limit) {
    this.#limit = limit;
    this.heard();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.check(), limit);
  }

  heard() {
    this.#heardAt = Date.now();
  }

  /** Look at the clock now; while it is not over, look again when it may be. */
  check() {
    clearTimeout(this.#timer);
    const left = this.#heardAt + this.#limit - Date.now();
    if (left <= 0) this.#over(this.#heardAt);
    else this.#timer = setTimeout(() => this.check(), left);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
