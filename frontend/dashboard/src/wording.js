import { CROWDED, FORBIDDEN, SIGNED_OUT } from "./closing.js";
import { atClock, fill } from "./times.js";

/**
 * What the status region says, from everything that is known (pure).
 *
 * @typedef {object} Facts
 * @property {import("./connection.js").ConnectionState} connection
 * @property {{ ok: boolean, interval: number } | null} polling
 * @property {{ at: number } | null} pause
 * @property {number} waiting - how much is new since the pause
 * @property {number} lag - how many seconds the server says it is behind
 * @property {number} since - the server's time at which the numbers were last current
 *
 * @typedef {object} Wording
 * @property {string} state - for `data-state`
 * @property {string} text - what is seen
 * @property {string} said - what is announced: without anything that counts
 * @property {boolean} [retry] - whether there is something to cut short
 */

const BEHIND_S = 2;

/**
 * @param {Facts} facts
 * @param {{ now: number, texts: DOMStringMap, place: { language: string, zone: string } }} context - `now` by this
 *   computer's clock, as `retryAt` is
 * @returns {Wording}
 */
export function describe(facts, { now, texts, place }) {
  const { connection, polling, pause } = facts;
  /** @param {string} name @param {Record<string, string | number>} [values] */
  const say = (name, values = {}) => fill(texts[`text${name}`] ?? "", values);

  if (connection.stage === "ended") return plain(...ending(connection.code, say));
  if (isCutOff(facts)) {
    const said = say("Offline", { time: atClock(facts.since, place) });
    const left = Math.ceil((connection.retryAt - now) / 1000);
    const next = connection.stage === "waiting" && left > 0 ? say("Retry", { n: left }) : say("Retrying");
    return { state: "offline", text: `${said} · ${next}`, said, retry: connection.stage === "waiting" };
  }
  if (pause !== null) {
    const said = say("Paused", { time: atClock(pause.at, place) });
    return { state: "paused", text: `${said} · ${say("Waiting", { n: facts.waiting })}`, said };
  }
  if (polling?.ok) {
    const crowded = connection.code === CROWDED;
    return plain(crowded ? "crowded" : "polling", say(crowded ? "Crowded" : "Polling", { n: polling.interval / 1000 }));
  }
  if (connection.stage !== "live") return { state: "connecting", text: say("Connecting"), said: "" };
  if (facts.lag >= BEHIND_S) {
    const text = say("Behind", { n: Math.round(facts.lag) });
    return { state: "behind", text, said: say("Live") };
  }
  return plain("live", say("Live"));
}

/**
 * Whether the page has lost its connection and no other way works. The first attempt is no loss yet.
 *
 * @param {Facts} facts
 */
function isCutOff({ connection, polling }) {
  if (polling?.ok) return false;
  return connection.stage === "waiting" || (connection.stage === "connecting" && connection.code !== 0);
}

/**
 * @param {string} state
 * @param {string} text
 * @returns {Wording}
 */
function plain(state, text) {
  return { state, text, said: text };
}

/**
 * @param {number} code
 * @param {(name: string) => string} say
 * @returns {[string, string]}
 */
function ending(code, say) {
  if (code === SIGNED_OUT) return ["ended", say("Ended")];
  if (code === FORBIDDEN) return ["refused", say("Refused")];
  return ["failed", say("Failed")];
}
