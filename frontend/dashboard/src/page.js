/**
 * What the page says of itself, in `data-*` of its elements; read anew each time, because frames change it.
 */

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function region(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no element #${id}.`);
  return element;
}

/** The place and the filters that the page shows. */
export function header() {
  const cursor = /** @type {HTMLDataElement} */ (region("cursor"));
  return { cursor: cursor.value, filter: cursor.dataset.filter ?? "" };
}

/** The live socket's address for what the page shows now. */
export function socketAddress() {
  const { live = "" } = region("filters").dataset;
  const address = new URL(live, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return withPlace(address).href;
}

/** The address at which the same regions are had by plain HTTP. */
export function pollAddress() {
  const { query = "" } = region("filters").dataset;
  return withPlace(new URL(`${location.pathname}?${query}`, location.href)).href;
}

/** @param {URL} address */
function withPlace(address) {
  address.searchParams.set("cursor", header().cursor);
  address.searchParams.set("period", region("cursor").dataset.period ?? "");
  return address;
}
