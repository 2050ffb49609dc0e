import { all, on } from "./bus.js";

const HIDDEN_MS = 30_000;

/**
 * A tab that nobody sees holds no socket: after 30 s hidden it is closed, and opened again on return. Likewise when
 * the page goes into the back-forward cache.
 *
 * @param {import("./connection.js").Connection} connection
 * @returns {() => void}
 */
export function watchPresence(connection) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const appear = () => {
    clearTimeout(timer);
    connection.check();
    connection.send({ type: "visible", visible: true });
    connection.start();
  };
  const vanish = () => {
    connection.send({ type: "visible", visible: false });
    timer = setTimeout(() => connection.park(), HIDDEN_MS);
  };

  return all(
    () => clearTimeout(timer),
    on(document, "visibilitychange", () => (document.hidden ? vanish() : appear())),
    on(window, "pagehide", () => connection.park()),
    on(window, "pageshow", ({ persisted }) => {
      if (persisted) connection.start();
    }),
    on(window, "online", () => connection.retry()),
    on(window, "offline", () => connection.interrupt()),
  );
}
