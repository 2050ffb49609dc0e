import { all, on, tell } from "./bus.js";
import { isOlder, readHeader } from "./frames.js";
import htmx from "./htmx.js";
import { showPlace } from "./messages.js";
import { header, region } from "./page.js";

/**
 * Filters are links that htmx turns into requests for the regions; here the rest of the page follows them: the title,
 * the live socket, back and forward.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  let shown = header().filter;

  const follow = () => {
    const { filter } = header();
    if (filter === shown) return;
    shown = filter;
    const { title = "", query = "" } = region("filters").dataset;
    document.title = title;
    showPlace();
    tell(live, "send", { type: "filters", query });
  };

  /** @param {CustomEvent<{ shouldSwap: boolean, serverResponse: string }>} event */
  const guard = ({ detail }) => {
    const answer = readHeader(detail.serverResponse ?? "");
    if (answer === null) return;
    const page = header();
    if (answer.filter === page.filter && isOlder(answer.cursor, page.cursor)) detail.shouldSwap = false;
  };

  /** @param {CustomEvent<{ elt: Element, xhr: XMLHttpRequest }>} event */
  const fail = ({ detail }) => {
    const address = detail.elt.getAttribute?.("href");
    // Back and forward have changed the address already: only a whole page can be right. So can a refusal.
    if (address === null || address === undefined) location.reload();
    else if (detail.xhr.status === 403) location.assign(address);
    else tell(live, "control", { type: "problem", text: region("status").dataset.textUnanswered });
  };

  /** @param {CustomEvent<{ parameters: Record<string, unknown> }>} event */
  const leaveOutEmpty = ({ detail }) => {
    for (const [name, value] of Object.entries(detail.parameters)) if (value === "") delete detail.parameters[name];
  };

  return all(
    on(document.body, "htmx:configRequest", leaveOutEmpty),
    on(document.body, "htmx:beforeSwap", guard),
    on(document.body, "htmx:afterRequest", follow),
    on(document.body, "htmx:responseError", fail),
    on(document.body, "htmx:sendError", fail),
    on(document.body, "htmx:historyCacheMiss", (event) => {
      // htmx would replace the body, the live connection with it; the regions are enough.
      event.preventDefault();
      htmx.ajax("GET", location.pathname + location.search, { target: "#live", swap: "none" });
    }),
  );
}
