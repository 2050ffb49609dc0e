/**
 * The htmx that the page has loaded from django-htmx, before this script; the name under which the bundle knows it.
 *
 * @typedef {{
 *   createWebSocket?: (url: string) => unknown,
 *   ajax(method: string, url: string, options: { target: string, swap: string }): Promise<void>,
 *   defineExtension(name: string, extension: object): void,
 * }} Htmx
 */

/** @type {Htmx} A page that is not live loads no htmx: there idiomorph has nothing to register with. */
const absent = { ajax: () => Promise.reject(new Error("The page has no htmx.")), defineExtension() {} };

export default /** @type {{ htmx?: Htmx }} */ (/** @type {unknown} */ (globalThis)).htmx ?? absent;
