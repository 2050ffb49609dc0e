// Copy buttons of the admin: a click copies the address, completed with the site's name, and says so.

const said = (button) => button.parentElement.querySelector("[data-lr-said]");

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-lr-copy]") : null;
  if (!button) return;
  const address = new URL(button.dataset.lrCopy, window.location.href).href;
  try {
    await navigator.clipboard.writeText(address);
    said(button).textContent = said(button).dataset.lrSaid;
  } catch {
    // No clipboard without https: select the text, so that the usual keys copy it.
    window.getSelection().selectAllChildren(button.parentElement.querySelector(".lr-copy__text"));
  }
});
