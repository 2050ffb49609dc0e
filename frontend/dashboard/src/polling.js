import { all, hear, tell } from "./bus.js";
import { CROWDED, FORBIDDEN, SIGNED_OUT } from "./closing.js";
import { pollAddress } from "./page.js";

const MISSES = 3; // sockets without a hello before polling begins
const INTERVAL_MS = 5000;
const CROWDED_MS = 15_000;

/**
 * Where there is no socket, fetch the same regions every few seconds and hand them to the line: a poll's answer *is* a
 * frame. Stops while the tab is hidden or the page paused, and as soon as a socket lives.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  /** @type {AbortController | null} */
  let running = null;
  /** @type {boolean | null} */
  let worked = null;
  let paused = false;
  let interval = INTERVAL_MS;

  /** @param {AbortSignal} signal */
  const poll = async (signal) => {
    if (!paused) {
      const outcome = await fetchRegions();
      if (signal.aborted) return;
      report(outcome);
    }
    if (!signal.aborted) setTimeout(poll, interval, signal);
  };

  /** @param {{ status: number, text: string }} outcome */
  const report = ({ status, text }) => {
    if (status === 401) tell(live, "end", SIGNED_OUT);
    if (status === 403) tell(live, "end", FORBIDDEN);
    const ok = status === 200 || status === 204;
    if (text !== "") tell(live, "deliver", text);
    tell(live, "polling", { ok, interval });
    // The server is back: a socket may be possible now. If that fails too, it is sockets that are blocked.
    if (ok && worked === false) tell(live, "retry");
    else tell(live, "yield", ok);
    worked = ok;
  };

  const start = () => {
    running = new AbortController();
    void poll(running.signal);
  };
  const stop = () => {
    if (running === null) return;
    running.abort();
    running = null;
    worked = null;
    tell(live, "polling", null);
  };

  return all(
    stop,
    hear(live, "pause", (pause) => {
      paused = pause !== null;
    }),
    hear(live, "connection", (/** @type {import("./connection.js").ConnectionState} */ { stage, misses, code }) => {
      const wanted = (misses >= MISSES || code === CROWDED) && (stage === "waiting" || stage === "connecting");
      interval = code === CROWDED ? CROWDED_MS : INTERVAL_MS;
      if (!wanted) stop();
      else if (running === null) start();
    }),
  );
}

/** @returns {Promise<{ status: number, text: string }>} status 0 if nobody answered */
async function fetchRegions() {
  try {
    const headers = { "HX-Request": "true" };
    const response = await fetch(pollAddress(), {
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(INTERVAL_MS),
    });
    return { status: response.status, text: response.status === 200 ? await response.text() : "" };
  } catch {
    // No network, no server, no answer in time: all the same to a poll, which will come again.
    return { status: 0, text: "" };
  }
}
