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
  [...form(preview).querySelectorAll("input, select")].find(
    (each) => each.name === name || each.name.endsWith(`-${name}`),
  );

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

// Countdowns, by the server's clock: each block says what time it is there when it comes in.
const RENEWED_MS = 1500;
const offsets = new WeakMap();

function left(time) {
  const block = time.closest("[data-lr-now]");
  if (!offsets.has(block)) offsets.set(block, Date.parse(block.dataset.lrNow) - Date.now());
  return Math.max(0, Math.round((Date.parse(time.dateTime) - Date.now() - offsets.get(block)) / 1000));
}

function spelled(seconds) {
  const parts = [];
  let rest = seconds;
  for (const [unit, size] of [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
    ["second", 1],
  ]) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count || (unit === "second" && !parts.length)) {
      parts.push(
        new Intl.NumberFormat(document.documentElement.lang || "en", {
          style: "unit",
          unit,
          unitDisplay: "long",
        }).format(count),
      );
    }
  }
  return parts.slice(0, 2).join(" ");
}

function count() {
  for (const time of document.querySelectorAll("time[data-lr-countdown]")) {
    const seconds = left(time);
    time.dataset.lrAt ??= time.textContent;
    const rest = seconds ? time.dataset.lrIn.replace("{span}", spelled(seconds)) : time.dataset.lrDue;
    const text = rest ? `${time.dataset.lrAt} (${rest})` : time.dataset.lrAt;
    if (time.textContent !== text) time.textContent = text;
  }
}

// A delivery's page renews itself while something happens: all parts that show its state, from one reading of the page.
// What is opened stays open.
const strip = (story) => story.outerHTML.replace(/ data-lr-now="[^"]*"/, "");
// Before anything counts down on it.
const stories = new WeakMap([...document.querySelectorAll("[data-lr-live]")].map((live) => [live, strip(live.firstElementChild)]));

async function answered(url) {
  const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
  return answer.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

async function renewStory(live) {
  if (!live.querySelector("[data-lr-moving]") || document.hidden) return;
  const story = (await answered(live.dataset.lrLive))?.body.firstElementChild;
  if (!story || stories.get(live) === strip(story)) return;
  const fresh = await answered(window.location.href);
  if (!fresh) return;
  const opened = [...live.querySelectorAll("details")].map((details) => details.open);
  for (const part of document.querySelectorAll("[data-lr-part]")) {
    const wanted = fresh.querySelector(`[data-lr-part="${part.dataset.lrPart}"]`);
    if (wanted) part.replaceChildren(...wanted.childNodes);
  }
  stories.set(live, strip(live.firstElementChild));
  live.querySelectorAll("details").forEach((details, index) => {
    if (index in opened) details.open = opened[index];
  });
  count();
}

for (const live of document.querySelectorAll("[data-lr-live]")) {
  setInterval(() => renewStory(live).catch(() => {}), RENEWED_MS);
}

if (document.querySelector("[data-lr-now]")) {
  count();
  setInterval(count, 1000);
}
