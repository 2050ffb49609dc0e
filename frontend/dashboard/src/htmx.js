/**
 * The htmx that the page has loaded from django-htmx, before this script; the name under which the bundle knows it.
 *
 * @typedef {{
 *   createWebSocket?: (url: string) => unknown,
 *   ajax(method: string, url: string, options: { target: string, swap: string }): Promise<void>,
 *   defineExtension(name: string, extension: object): void,
 * }} Htmx
 */

export default /** @type {{ htmx: Htmx }} */ (/** @type {unknown} */ (globalThis)).htmx;
