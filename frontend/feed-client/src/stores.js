/** @typedef {import("../types/index.d.ts").CursorStore} CursorStore */

/**
 * Keeps the cursor for as long as the object lives.
 *
 * @param {string | null} [cursor]
 * @returns {CursorStore}
 */
export function memoryStore(cursor = null) {
  let kept = cursor;
  return {
    load: () => kept,
    save: (later) => {
      kept = later;
    },
  };
}

/**
 * Keeps the cursor in `localStorage` or `sessionStorage`.
 *
 * @param {Storage} storage
 * @param {string} [key]
 * @returns {CursorStore}
 */
export function storageStore(storage, key = "livereferrals.feed.cursor") {
  return { load: () => storage.getItem(key), save: (cursor) => storage.setItem(key, cursor) };
}
