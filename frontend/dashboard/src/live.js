import { all, hear, tell } from "./bus.js";
import { Connection } from "./connection.js";
import htmx from "./htmx.js";
import { Line } from "./line.js";
import { socketAddress } from "./page.js";
import { watchPresence } from "./presence.js";
import { isDue } from "./renewal.js";

const PROTOCOL = "livereferrals.live.v1";
const RELOAD_SPREAD_MS = 5000;

/**
 * Put our connection behind htmx's `ws` extension, and connect when the extension asks for its socket.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  const line = new Line({
    send: (text) => connection.send(JSON.parse(text)),
    close: () => connection.park(),
  });
  const connection = new Connection({
    open: () => new WebSocket(socketAddress(), PROTOCOL),
    receive: (text) => line.deliver(text),
    report: (state) => {
      live.dataset.stage = state.stage;
      tell(live, "connection", state);
    },
  });
  htmx.createWebSocket = () => {
    queueMicrotask(() => connection.start());
    return line;
  };

  return all(
    () => connection.park(),
    watchPresence(connection),
    hear(live, "control", (message) => obey(message, connection)),
    hear(live, "send", (message) => connection.send(message)),
    hear(live, "deliver", (text) => line.deliver(text)),
    hear(live, "retry", () => connection.retry()),
    hear(live, "yield", (works) => connection.yieldTo(works)),
    hear(live, "end", (code) => connection.end(code)),
  );
}

/**
 * Do what a control message says of the connection itself.
 *
 * @param {{ type: string, retry_after_s?: number, assets?: string }} message
 * @param {Connection} connection
 */
function obey(message, connection) {
  if (message.type === "hello") connection.greeted();
  if (message.type === "goodbye") connection.leave(message.retry_after_s ?? 0);
  // Spread, so that a deploy is not followed by all dashboards in one moment.
  if (message.type === "reload" && isDue(message, sessionStorage))
    setTimeout(() => location.reload(), Math.random() * RELOAD_SPREAD_MS);
}
