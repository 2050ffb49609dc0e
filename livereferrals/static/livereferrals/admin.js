// The admin's copy buttons and the preview of callback addresses. Without it everything is still there to read and select.

const PAUSE_MS = 300;

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-lr-copy], [data-lr-copy-text]") : null;
  if (!button) return;
  const place = button.parentElement;
  const said = place.querySelector("[data-lr-said]");
  const shown = place.querySelector(".lr-copy__text");
  const { lrCopy } = button.dataset;
  const copied = lrCopy === undefined ? shown.textContent : new URL(lrCopy, window.location.href).href;
  // Emptied first, so that a screen reader announces a second copy too.
  said.textContent = "";
  try {
    await navigator.clipboard.writeText(copied);
    said.textContent = said.dataset.lrSaid;
  } catch {
    // No clipboard without https: select the text, so that the usual keys copy it.
    window.getSelection().selectAllChildren(shown);
    said.textContent = said.dataset.lrSelected;
  }
});

const waiting = new WeakMap();

const form = (preview) => preview.closest(".inline-related") ?? preview.closest("form");

const field = (preview, name) =>
  [...form(preview).querySelectorAll("input, select")].find((each) => each.name === name || each.name.endsWith(`-${name}`));

async function renew(preview) {
  const body = new FormData();
  for (const name of ["callback_url", "method", "trigger"]) body.set(name, field(preview, name)?.value ?? "");
  if (field(preview, "allow_plain_http")?.checked) body.set("allow_plain_http", "on");
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const asked = Symbol("asked");
  waiting.set(preview, asked);
  const answer = await fetch(preview.dataset.lrPreview, { method: "POST", body, headers: { "X-CSRFToken": token } });
  // An answer that was overtaken by further typing is no news.
  if (answer.ok && !answer.redirected && waiting.get(preview) === asked) preview.innerHTML = await answer.text();
}

document.addEventListener("input", (event) => {
  const name = event.target.name ?? "";
  if (!/(^|-)(callback_url|method|trigger|allow_plain_http)$/.test(name)) return;
  for (const preview of document.querySelectorAll("[data-lr-preview]")) {
    if (!form(preview).contains(event.target)) continue;
    clearTimeout(waiting.get(preview)?.timer);
    const timer = setTimeout(() => renew(preview).catch(() => {}), PAUSE_MS);
    waiting.set(preview, { timer });
  }
});
