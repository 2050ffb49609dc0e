/**
 * Frames as text: what they say of themselves, and whether they may be shown (pure).
 *
 * @typedef {{ cursor: string, filter: string }} Header
 */

const CURSOR_ELEMENT = /<data\s+id="cursor"[^>]*>/;

/**
 * Read a frame's header, without building its elements; `null` if this is no frame.
 *
 * @param {string} markup
 * @returns {Header | null}
 */
export function readHeader(markup) {
  const tag = CURSOR_ELEMENT.exec(markup)?.[0];
  if (tag === undefined) return null;
  return { cursor: attribute(tag, "value"), filter: attribute(tag, "data-filter") };
}

/**
 * @param {string} tag
 * @param {string} name
 */
function attribute(tag, name) {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? "";
}

/**
 * Whether `cursor` is before `than` in the same epoch. Another epoch is neither: the log was renumbered.
 *
 * @param {string} cursor
 * @param {string} than
 */
export function isOlder(cursor, than) {
  const [epoch, seq] = cursor.split(".");
  const [otherEpoch, otherSeq] = than.split(".");
  // BigInt: a seq may pass 2^53.
  return epoch === otherEpoch && BigInt(seq ?? 0) < BigInt(otherSeq ?? 0);
}

/**
 * How many events lie between two places of one epoch; 0 where that cannot be said.
 *
 * @param {string} from
 * @param {string} to
 */
export function distance(from, to) {
  const [epoch, seq] = from.split(".");
  const [otherEpoch, otherSeq] = to.split(".");
  return epoch === otherEpoch ? Math.max(0, Number(otherSeq) - Number(seq)) : 0;
}

/**
 * Whether a frame may be shown on a page: not one of older filters, and never an older state over a newer one.
 *
 * @param {Header} frame
 * @param {Header} page
 */
export function maySupersede(frame, page) {
  return frame.filter === page.filter && !isOlder(frame.cursor, page.cursor);
}
