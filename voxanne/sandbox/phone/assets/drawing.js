// Builds the page's elements. Everything that came from outside goes in as text, never as markup.

const ICONS = {
  clock: "M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M8 5.5V8l1.7 1.2",
  tick: "M3.5 8.5l3 3 6-7",
  ticks: "M1.5 8.5l3 3 5.5-7M7 10.5l1 1 5.5-7",
  problem: "M8 4v5M8 11.8v.2",
  struck: "M4 8h8",
  phone: "M5.5 2.5L3.6 3.4c-.8 4.5 4.5 9.8 9 9l.9-1.9-2.6-1.7-1.3 1c-1.3-.6-2.7-2-3.3-3.3l1-1.3z",
  calendar: "M3 4.5h10v8.5H3zM3 7h10M5.5 2.5v3M10.5 2.5v3M6 10l1.5 1.5L10 9",
  slots: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3M8 5.5V8l2 1.2",
  text: "M3 4h10v6.5H7.5L5 12.8v-2.3H3z",
  arrow: "M3 8h9M9 5l3 3-3 3",
  end: "M4 4l8 8M12 4l-8 8",
  voice: "M5 6.5v3M8 4.5v7M11 6v4",
  back: "M10 3L5 8l5 5",
  send: "M2.5 8l11-5-4 10.5-2.5-4z",
};

const TICKS = {
  queued: ["clock", "Queued"], accepted: ["clock", "Queued"], scheduled: ["clock", "Scheduled"],
  sending: ["clock", "On its way"], sent: ["tick", "Sent"], delivered: ["ticks", "Delivered"],
  read: ["ticks", "Read"], received: ["tick", "Sent"], undelivered: ["problem", "Not delivered"],
  failed: ["problem", "Failed"], canceled: ["struck", "Canceled"],
};

const ON_ITS_WAY = new Set(["queued", "accepted", "scheduled", "sending"]);
const FAILED = new Set(["undelivered", "failed", "canceled"]);
const LIVE = new Set(["queued", "ringing", "in-progress", "forwarding"]);

const STEPS = [
  [/book|appointment|reschedul/i, "calendar"], [/slot|availab/i, "slots"], [/text|sms|deliver/i, "text"],
  [/transfer|forward|dial|bridg/i, "arrow"], [/end|hang|goodbye/i, "end"], [/call|ring/i, "phone"],
];

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function spoken(number) {
  const american = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  if (american) return `+1 ${american[1]} ${american[2]} ${american[3]}`;
  return number.startsWith("+") ? number.replace(/^(\+\d{2})(\d{4})(\d+)$/, "$1 $2 $3") : number || "Withheld number";
}

export function dress(face, label, number) {
  let hue = 0;
  for (const digit of number) hue = (hue * 31 + digit.charCodeAt(0)) % 360;
  face.style.setProperty("--hue", hue);
  const words = label.split(/\s+/).filter((word) => /^\p{L}/u.test(word));
  face.textContent = words.length ? words.slice(0, 2).map((word) => word[0]).join("").toUpperCase() : number.slice(-2);
}

export function clockTime(at) {
  return time.format(new Date(at));
}

export function briefTime(at) {
  const then = new Date(at);
  return then.toDateString() === new Date().toDateString() ? time.format(then) : short.format(then);
}

export function dayLabel(at) {
  const then = new Date(at).toDateString();
  if (then === new Date().toDateString()) return "Today";
  return day.format(new Date(at));
}

function timeTag(at, format) {
  return element("time", { datetime: at, title: new Date(at).toLocaleString() }, format.format(new Date(at)));
}

export function bubble(text) {
  const item = element("li", { "data-sid": text.sid });
  item.append(element("p", { class: "bubble" }), element("p", { class: "meta" }));
  return refreshBubble(item, text);
}

export function refreshBubble(item, text) {
  const [name, word] = TICKS[text.status] ?? ["clock", text.status];
  const [body, meta] = item.children;
  item.className = `message ${text.from_clinic ? "theirs" : "mine"}`;
  item.classList.toggle("on-its-way", text.from_clinic && ON_ITS_WAY.has(text.status));
  item.classList.toggle("failed", FAILED.has(text.status));
  if (body.textContent !== text.body) body.replaceChildren(...linked(text.body));
  const shown = text.from_clinic || FAILED.has(text.status);
  const by = text.channel === "whatsapp" ? "WhatsApp · " : "";
  const label = `${by}${word}${text.error_code ? ` · ${text.error_code}` : ""}`;
  meta.replaceChildren(
    timeTag(text.at, time), icon(name), element("span", { class: shown ? "word" : "hidden" }, label),
  );
  meta.dataset.status = text.status;
  return item;
}

// Web addresses in a text become links; the pieces between stay text.
function linked(body) {
  return body.split(/(https?:\/\/[^\s<>"]+)/).map((piece, place) =>
    place % 2 ? element("a", { href: piece, rel: "noreferrer noopener", target: "_blank" }, piece) : piece);
}

export function separator(at) {
  return element("li", { class: "day" }, element("span", {}, dayLabel(at)));
}

export function phoneRow(phone, selected) {
  const last = lastNews(phone);
  const label = phone.name || spoken(phone.number);
  const face = element("span", { class: "face", "aria-hidden": "true" });
  dress(face, phone.name, phone.number);
  const lines = element("span", { class: "lines" },
    element("span", { class: "name" }, label),
    element("span", { class: "last" }, last ? last.line : "No texts yet"));
  const side = element("span", { class: "side" }, last ? element("time", { datetime: last.at }, briefTime(last.at)) : "");
  if (phone.unread) side.append(element("span", { class: "unread" }, String(phone.unread), element("span", { class: "hidden" }, " unread")));
  const button = element("button", { type: "button", "data-number": phone.number, "aria-current": selected ? "true" : null }, face, lines, side);
  return element("li", {}, button);
}

export function lastNews(phone) {
  const text = [...phone.texts.values()].at(-1);
  const call = [...phone.calls.values()].at(-1);
  if (call && (!text || call.at > text.at)) return { at: call.at, line: LIVE.has(call.status) ? "On a call now" : "Called the clinic" };
  return text ? { at: text.at, line: text.from_clinic ? text.body : `You: ${text.body}` } : null;
}

export function callCard(call, clinicName, isOpen) {
  const live = LIVE.has(call.status);
  const state = live ? call.status.replace("-", " ") : duration(call) || call.status || "ended";
  const title = element("summary", {},
    element("span", { class: "badge" }, icon("phone")),
    element("span", { class: "lines" },
      element("span", { class: "name" }, `Called ${clinicName}`),
      element("span", { class: "last" }, timeTag(call.at, time), ` · ${state}`)),
    live ? element("span", { class: "live" }, "Live") : "");
  const steps = element("ol", { class: "steps" }, ...call.events.map(step));
  const why = call.ended_reason ? element("p", { class: "why" }, sentence(call.ended_reason)) : null;
  const card = element("details", { class: "call", "data-id": call.id }, title, steps, ...(why ? [why] : []));
  card.open = isOpen;
  return element("li", {}, card);
}

function step(event) {
  const spokenLine = ["user", "assistant", "bot"].includes(event.role);
  if (spokenLine && event.text) {
    const who = event.role === "user" ? "Caller" : "Voxanne";
    return element("li", { class: `said ${event.role === "user" ? "caller" : "agent"}` },
      element("span", { class: "speaker" }, who), element("q", {}, event.text));
  }
  const name = STEPS.find(([pattern]) => pattern.test(event.type))?.[1] ?? "voice";
  const line = element("span", { class: "what" }, element("strong", {}, sentence(event.type)));
  if (event.text) line.append(element("span", { class: "detail" }, event.text));
  return element("li", { class: `step ${name}` }, element("span", { class: "dot" }, icon(name)), line, timeTag(event.at, exact));
}

function sentence(type) {
  const words = String(type).replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[-_:.]+/g, " ").trim().toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function duration(call) {
  if (!call.ended_at) return "";
  const seconds = Math.max(0, Math.round((new Date(call.ended_at) - new Date(call.at)) / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
