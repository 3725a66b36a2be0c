// The phone page: keeps what the server tells in memory and shows the chosen phone.

import {
  bubble, callCard, clockTime, dayLabel, dress, element, icon, lastNews, phoneRow, refreshBubble, separator, spoken,
} from "/phone/drawing.js";

const find = (id) => document.getElementById(id);
const phones = new Map();
const MOST_PHONES = 200;
let numbers = [];
let chosen = null; // number of the phone shown
let clinic = ""; // the clinic number whose texts it shows
let drawn = { key: "", bubbles: new Map(), day: "" };
let waitingToDraw = false;

// ---- what we know -------------------------------------------------------------------------------------------

function phone(number) {
  if (!phones.has(number)) phones.set(number, { number, name: "", texts: new Map(), calls: new Map(), unread: 0 });
  return phones.get(number);
}

async function load() {
  const state = await (await fetch("/phone/state", { cache: "no-store" })).json();
  const unread = new Map([...phones].map(([number, one]) => [number, one.unread]));
  phones.clear();
  numbers = state.numbers;
  for (const one of state.phones) {
    const kept = phone(one.number);
    kept.name = one.name;
    kept.unread = unread.get(one.number) ?? 0;
    for (const text of one.texts) kept.texts.set(text.sid, text);
    for (const call of one.calls) kept.calls.set(call.id, call);
  }
  drawn.key = "";
  if (chosen !== null) phone(chosen);
  else chooseFirst(state.phones);
  draw();
}

// On arrival: the phone in the address, else, where there is room for it, the one with the latest news.
function chooseFirst(listed) {
  const wanted = fromAddress();
  if (wanted) choose(wanted);
  else if (listed.length && matchMedia("(min-width: 800px)").matches) choose(listed[0].number, false);
}

function fromAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("phone");
  return wanted && phones.has(wanted) ? wanted : null;
}

function take(news) {
  if (news.kind === "resync") return load();
  const item = news.data;
  const one = phone(item.phone);
  if (news.kind === "call") {
    one.calls.set(item.id, item);
    return draw();
  }
  const isNew = !one.texts.has(item.sid);
  one.texts.set(item.sid, item);
  if (isNew && item.from_clinic && (item.phone !== chosen || document.hidden)) one.unread += 1;
  if (isNew && item.phone === chosen && item.clinic !== clinic && item.from_clinic) clinic = item.clinic;
  return draw();
}

function listen() {
  const stream = new EventSource("/phone/news");
  stream.onopen = () => { linkState(true); load(); };
  stream.onerror = () => linkState(false);
  stream.onmessage = (message) => JSON.parse(message.data).forEach(take);
}

function linkState(isLive) {
  const shown = find("link-state");
  shown.textContent = isLive ? "Live" : "Reconnecting…";
  shown.classList.toggle("lost", !isLive);
}

// ---- what is shown ------------------------------------------------------------------------------------------

function draw() {
  if (waitingToDraw) return;
  waitingToDraw = true;
  requestAnimationFrame(() => {
    waitingToDraw = false;
    drawNow();
  });
}

function drawNow() {
  drawList();
  drawChosen();
  const unread = [...phones.values()].reduce((sum, one) => sum + one.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}Phones · Voxanne sandbox`;
}

function drawList() {
  const focused = document.activeElement?.dataset?.number;
  const order = [...phones.values()].sort((a, b) => (lastNews(b)?.at ?? "").localeCompare(lastNews(a)?.at ?? ""));
  find("phones").replaceChildren(...order.slice(0, MOST_PHONES).map((one) => phoneRow(one, one.number === chosen)));
  find("no-phones").hidden = order.length > 0;
  find("welcome").hidden = chosen !== null;
  find("welcome-line").textContent = order.length ? "Choose a phone to see what its owner sees." : "Texts and calls appear here as they come in.";
  if (focused) document.querySelector(`[data-number="${CSS.escape(focused)}"]`)?.focus();
}

function drawChosen() {
  const one = phones.get(chosen);
  find("conversation").hidden = find("calls-panel").hidden = !one;
  if (!one) return;
  const names = clinicsOf(one);
  if (!names.includes(clinic)) clinic = latestClinic(one) ?? names[0] ?? "";
  drawContact(one, names);
  drawTexts(one);
  drawCalls(one);
}

function drawContact(one, names) {
  const label = clinicName(clinic);
  find("contact-name").textContent = label;
  dress(find("contact-face"), label.startsWith("+") ? "" : label, clinic || "--");
  find("owner").textContent = `on ${one.name ? `${one.name}’s phone` : spoken(one.number)}`;
  const several = names.length > 1;
  const select = find("clinic");
  select.hidden = !several;
  find("contact-name").classList.toggle("hidden", several);
  select.replaceChildren(...names.map((number) => {
    const option = element("option", { value: number }, clinicName(number));
    option.selected = number === clinic;
    return option;
  }));
  find("ring").hidden = !numbers.some((number) => number.number === clinic && number.takes_calls);
  find("compose").hidden = clinic === "";
}

function drawTexts(one) {
  const list = find("texts");
  const scroller = find("texts-panel");
  const key = `${one.number} ${clinic}`;
  const fresh = drawn.key !== key;
  const wasAtEnd = fresh || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
  if (fresh) {
    list.replaceChildren();
    drawn = { key, bubbles: new Map(), day: "" };
  }
  for (const text of one.texts.values()) {
    if (text.clinic === clinic) drawText(list, text);
  }
  if (wasAtEnd) scroller.scrollTop = scroller.scrollHeight;
}

function drawText(list, text) {
  const known = drawn.bubbles.get(text.sid);
  if (known) {
    if (known.status !== text.status) refreshBubble(known.item, text);
    known.status = text.status;
    return;
  }
  const label = dayLabel(text.at);
  if (label !== drawn.day) list.append(separator(text.at));
  drawn.day = label;
  const item = bubble(text);
  list.append(item);
  drawn.bubbles.set(text.sid, { item, status: text.status });
}

function drawCalls(one) {
  const open = new Map([...document.querySelectorAll("details.call")].map((card) => [card.dataset.id, card.open]));
  const calls = [...one.calls.values()].sort((a, b) => b.at.localeCompare(a.at));
  find("calls").replaceChildren(...calls.map((call, place) =>
    callCard(call, clinicName(call.clinic), open.get(call.id) ?? place === 0)));
  find("no-calls").hidden = calls.length > 0;
  find("tab-calls").textContent = calls.length ? `Calls (${calls.length})` : "Calls";
}

function clinicsOf(one) {
  const known = [...one.texts.values(), ...one.calls.values()].map((item) => item.clinic);
  const ours = numbers.filter((number) => number.takes_texts).map((number) => number.number);
  return [...new Set([...known, ...ours])].filter(Boolean);
}

function latestClinic(one) {
  return [...one.texts.values()].at(-1)?.clinic ?? [...one.calls.values()].at(-1)?.clinic;
}

// One name a clinic; by which channel its texts came is told beside it.
function clinicName(number) {
  const bare = number.replace(/^whatsapp:/, "");
  const known = numbers.find((one) => one.number === number) ?? numbers.find((one) => one.number === bare);
  const name = known?.name || spoken(bare) || "the clinic";
  return bare === number ? name : `${name} · WhatsApp`;
}

// ---- what a person does -------------------------------------------------------------------------------------

function choose(number, moveFocus = true) {
  chosen = number;
  clinic = latestClinic(phone(number)) ?? "";
  phone(number).unread = 0;
  document.body.dataset.showing = moveFocus ? "phone" : document.body.dataset.showing;
  history.replaceState(null, "", `#phone=${encodeURIComponent(number)}`);
  showTab("texts");
  find("problem").hidden = true;
  drawNow();
}

function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of ["texts", "calls"]) {
    const isShown = tab === name;
    find(`tab-${tab}`).setAttribute("aria-selected", String(isShown));
    find(`tab-${tab}`).tabIndex = isShown ? 0 : -1;
  }
}

async function ask(path, body) {
  const problem = find("problem");
  problem.hidden = true;
  try {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.json();
    const failed = told.webhook && (told.webhook.status === null || told.webhook.status >= 400);
    if (!answer.ok) throw new Error(told.error.message);
    if (failed) throw new Error(`The clinic’s server did not take it (${told.webhook.status ?? "no answer"}).`);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function sendText(event) {
  event.preventDefault();
  const body = find("body").value.trim();
  if (!body || chosen === null) return;
  find("body").value = "";
  grow();
  ask("/_control/twilio/inbound-text", { from: chosen, to: clinic, body });
}

function grow() {
  const box = find("body");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 140)}px`;
}

function toggleMenu(show) {
  find("ring-menu").hidden = !show;
  find("ring").setAttribute("aria-expanded", String(show));
  if (show) find("ring-menu").querySelector("button").focus();
}

function ring(event) {
  const outcome = event.target.closest("[data-outcome]")?.dataset.outcome;
  if (!outcome) return;
  toggleMenu(false);
  find("ring").focus();
  ask("/_control/twilio/inbound-call", { from: chosen, to: clinic, outcome, ring_seconds: 3, talk_seconds: 6 });
}

function menuKeys(event) {
  const items = [...find("ring-menu").querySelectorAll("button")];
  const place = items.indexOf(document.activeElement);
  if (event.key === "Escape") { toggleMenu(false); find("ring").focus(); }
  if (event.key === "ArrowDown") { event.preventDefault(); items[(place + 1) % items.length].focus(); }
  if (event.key === "ArrowUp") { event.preventDefault(); items[(place - 1 + items.length) % items.length].focus(); }
}

function newPhone(event) {
  event.preventDefault();
  const number = find("new-number").value.trim();
  find("new-phone-form").hidden = true;
  find("new-phone").setAttribute("aria-expanded", "false");
  event.target.reset();
  choose(phone(number).number);
  find("body").focus();
}

// On a narrow screen the calls are a tab of the phone, on a wide one they stand beside it.
function placeCalls(isNarrow) {
  const calls = find("calls-panel");
  if (isNarrow) find("texts-panel").after(calls);
  else document.querySelector(".rooms").insertBefore(calls, find("welcome"));
}

function start() {
  const narrow = matchMedia("(max-width: 1099px)");
  placeCalls(narrow.matches);
  narrow.addEventListener("change", (event) => placeCalls(event.matches));
  find("back").append(icon("back"));
  document.querySelector(".send").append(icon("send"));
  find("ring").prepend(icon("phone"));
  find("phones").addEventListener("click", (event) => {
    const number = event.target.closest("[data-number]")?.dataset.number;
    if (number) { choose(number); find("conversation").focus({ preventScroll: true }); }
  });
  find("back").addEventListener("click", () => {
    document.body.dataset.showing = "list";
    document.querySelector(`[data-number="${CSS.escape(chosen)}"]`)?.focus();
  });
  find("clinic").addEventListener("change", (event) => { clinic = event.target.value; draw(); });
  find("compose").addEventListener("submit", sendText);
  find("body").addEventListener("input", grow);
  find("body").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) sendText(event);
  });
  find("suggestions").addEventListener("click", (event) => {
    if (event.target.matches("button")) { find("body").value = event.target.textContent; grow(); find("body").focus(); }
  });
  find("ring").addEventListener("click", () => toggleMenu(find("ring-menu").hidden));
  find("ring-menu").addEventListener("click", ring);
  find("ring-menu").addEventListener("keydown", menuKeys);
  find("new-phone").addEventListener("click", () => {
    const show = find("new-phone-form").hidden;
    find("new-phone-form").hidden = !show;
    find("new-phone").setAttribute("aria-expanded", String(show));
    if (show) find("new-number").focus();
  });
  find("new-phone-form").addEventListener("submit", newPhone);
  for (const tab of ["texts", "calls"]) find(`tab-${tab}`).addEventListener("click", () => showTab(tab));
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow")) return;
    showTab(document.body.dataset.tab === "texts" ? "calls" : "texts");
    find(`tab-${document.body.dataset.tab}`).focus();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && phones.has(chosen)) { phone(chosen).unread = 0; draw(); }
  });
  const tick = () => { find("clock").textContent = clockTime(Date.now()); };
  tick();
  setInterval(tick, 5000);
  listen();
}

start();
