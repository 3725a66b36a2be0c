// The overview: what each service holds, refreshed every few seconds.

import { element } from "/phone/drawing.js";

const SERVICES = [
  ["twilio", "Twilio", (it) => `${count(it.texts, "text")} · ${count(it.calls, "call")}`],
  ["vapi", "Vapi", (it) => `${count(it.calls, "call")} · ${count(it.tools, "tool")}`],
  ["google", "Google Calendar", (it) => `${count(it.calendars, "calendar")} · ${count(it.events, "event")}`],
  ["slack", "Slack", (it) => count(it.messages, "message")],
];

function count(many, what) {
  return `${many} ${what}${many === 1 ? "" : "s"}`;
}

function card(summary, [key, name, describe]) {
  const isDown = summary.down.includes(key);
  return element("li", {},
    element("h3", {}, name, element("span", { class: isDown ? "down" : "up" }, isDown ? "Switched off" : "Up")),
    element("p", {}, describe(summary[key])),
    element("code", {}, `/${key}`));
}

async function refresh() {
  const state = document.getElementById("link-state");
  try {
    const summary = await (await fetch("/phone/summary", { cache: "no-store" })).json();
    document.getElementById("services").replaceChildren(...SERVICES.map((service) => card(summary, service)));
    state.textContent = summary.faults ? `Live · ${count(summary.faults, "fault")} asked for` : "Live";
    state.classList.remove("lost");
  } catch {
    state.textContent = "Reconnecting…";
    state.classList.add("lost");
  }
}

refresh();
setInterval(refresh, 3000);
