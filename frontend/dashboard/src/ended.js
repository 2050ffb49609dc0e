import { hear } from "./bus.js";
import { SIGNED_OUT } from "./closing.js";

/**
 * When the session has ended, say so over the page and lead to the sign-in and back.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  const dialog = /** @type {HTMLDialogElement} */ (document.querySelector(".lr-dialog"));
  const link = /** @type {HTMLAnchorElement} */ (dialog.querySelector("a"));
  return hear(live, "connection", async ({ stage, code }) => {
    if (stage !== "ended" || code !== SIGNED_OUT || dialog.open) return;
    link.href = location.href;
    dialog.showModal();
    link.href = await signInAddress();
  });
}

/** Where the server sends somebody who asks for this page without a session; else the page, which redirects there. */
async function signInAddress() {
  try {
    const response = await fetch(location.href, { headers: { "HX-Request": "true" }, redirect: "manual" });
    return response.headers.get("HX-Redirect") ?? location.href;
  } catch {
    return location.href; // without network the link is of no use yet, but stays right
  }
}
