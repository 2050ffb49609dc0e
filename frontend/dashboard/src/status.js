import { announce as say } from "./announcer.js";
import { all, hear, on, tell } from "./bus.js";
import * as clock from "./clock.js";
import { distance } from "./frames.js";
import { header, region } from "./page.js";
import { describe } from "./wording.js";

const SETTLED_MS = 2000; // a state that lasts less is not worth an announcement
const STALE_MS = 60_000;

/**
 * Show whether the page is live, and as of when; announce a change once, after it has lasted.
 *
 * What is seen counts seconds, so it is no live region: the `role="status"` of the page says the state alone.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  const root = region("status");
  const text = find(root, ".lr-status__text");
  const now = find(root, ".lr-status__now");
  const stale = find(region("content"), ".lr-stale");
  const problem = find(region("content"), ".lr-problem");
  const zone = new URL(region("filters").dataset.live ?? "", location.href).searchParams.get("zone") ?? "";
  const place = { language: document.documentElement.lang, zone };
  /** @type {import("./wording.js").Facts} */
  const facts = {
    connection: { stage: "parked", misses: 0, code: 0, retryAt: 0, lostAt: 0 },
    polling: null,
    pause: null,
    waiting: 0,
    lag: 0,
    since: clock.now(),
  };
  let said = "";
  let lostAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let announcing;

  /** @param {string} sentence */
  const announce = (sentence) => {
    if (sentence === said || sentence === "") return;
    clearTimeout(announcing);
    const first = said === "";
    said = sentence;
    announcing = setTimeout(say, first ? 0 : SETTLED_MS, sentence);
  };

  /** @param {string} sentence */
  const complain = (sentence) => {
    problem.textContent = sentence;
    problem.hidden = sentence === "";
  };

  const show = () => {
    if (isCurrent(facts)) facts.since = clock.now();
    const wording = describe(facts, { now: Date.now(), texts: root.dataset, place });
    if (text.textContent !== wording.text) text.textContent = wording.text;
    root.dataset.state = wording.state;
    now.hidden = !wording.retry;
    const old = facts.pause === null && clock.now() - facts.since > STALE_MS;
    region("content").toggleAttribute("data-stale", old);
    stale.hidden = !old;
    announce(wording.said);
  };

  text.setAttribute("aria-hidden", "true");
  const timer = setInterval(show, 1000);
  return all(
    () => clearInterval(timer),
    () => clearTimeout(announcing),
    on(now, "click", () => tell(live, "retry")),
    hear(live, "connection", (state) => {
      facts.connection = state;
      if (state.lostAt > lostAt) {
        lostAt = state.lostAt;
        facts.since = clock.at(lostAt);
      }
      show();
    }),
    hear(live, "polling", (polling) => {
      facts.polling = polling;
      show();
    }),
    hear(live, "pause", (pause) => {
      facts.pause = pause;
      facts.waiting = 0;
      show();
    }),
    hear(live, "control", (message) => {
      if (message.type === "waiting") facts.waiting = message.n;
      // A new socket does not know what this page has shown before the pause: the cursors do.
      if (message.type === "hello" && message.cursor) facts.waiting = distance(header().cursor, message.cursor);
      if (message.type === "lag") facts.lag = message.seconds;
      if (message.type === "hello") complain("");
      if (message.type === "problem") complain(message.text);
      show();
    }),
    hear(live, "frame", () => {
      facts.lag = 0;
      complain("");
      show();
    }),
  );
}

/** @param {import("./wording.js").Facts} facts */
function isCurrent({ connection, polling }) {
  return connection.stage === "live" || polling?.ok === true;
}

/**
 * @param {HTMLElement} root
 * @param {string} selector
 * @returns {HTMLElement}
 */
function find(root, selector) {
  const found = /** @type {HTMLElement | null} */ (root.querySelector(selector));
  if (found === null) throw new Error(`The page has no ${selector}.`);
  return found;
}
