/** The dashboard's script: the page is right without it; with it, the page is live. */

import * as copy from "./copy.js";
import * as countdown from "./countdown.js";
import * as ended from "./ended.js";
import * as filters from "./filters.js";
import * as hold from "./hold.js";
import * as live from "./live.js";
import * as menus from "./menus.js";
import * as messages from "./messages.js";
import * as morphing from "./morphing.js";
import * as pause from "./pause.js";
import * as polling from "./polling.js";
import * as status from "./status.js";
import * as times from "./times.js";

const element = document.getElementById("live");

copy.mount();
menus.mount();
if (element !== null) {
  // Listeners before speakers: `pause` speaks while it mounts, `live` when htmx has processed the page.
  for (const part of [morphing, messages, times, countdown, status, polling, hold, filters, ended, pause, live])
    part.mount(element);
}
