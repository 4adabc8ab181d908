// Refreshes the figures of a page: each part marked data-live is replaced by the same part of the page as it is now.
// Only while the page is visible, and attended: requests count as use of the session, which must still end when its
// person has left. Without this script, the page says when its figures were taken, and has a link to reload it.
"use strict";

const live = document.getElementById("live");
const stopped = document.getElementById("stopped");
const told = document.getElementById("told");
const wait = Number(live.dataset.seconds) * 1000;
const unattended = Number(live.dataset.unattended) * 1000;
const MOST_FAILURES = 3;

const shown = new Map(); // what the server sent for each part, before anything was opened or pointed at
for (const part of live.querySelectorAll("[data-live]")) shown.set(part.id, part.innerHTML);
let verdict = words(live);
let failures = 0;
let attendedAt = Date.now();
let refreshedAt = Date.now();
let isPressed = false;
let isBusy = false;
let isOver = false;

function words(page) {
  return [...page.querySelectorAll("[data-told]")].map((text) => text.textContent.trim().replace(/\s+/g, " ")).join(" ");
}

// Says why nothing is refreshed; with "", nothing.
function say(reason) {
  stopped.hidden = !reason;
  for (const text of stopped.querySelectorAll("[data-when]")) text.hidden = text.dataset.when !== reason;
}

// A part that is in use isn't replaced: what is pressed or selected would be something else.
function isTouched(part) {
  const selection = getSelection();
  const isSelected = selection && !selection.isCollapsed && selection.containsNode(part, true);
  return isPressed || isSelected || part.querySelector(":is(button, a):hover") !== null;
}

function replace(part, fresh) {
  const html = fresh.innerHTML;
  if (shown.get(part.id) === html || isTouched(part)) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...part.querySelectorAll("details[open]")].map((details) => details.id);
  const scrolled = [...part.querySelectorAll(".table")].map((table) => [table.id, table.scrollLeft]);
  part.replaceChildren(...document.adoptNode(fresh).childNodes);
  shown.set(part.id, html);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left] of scrolled) if (left) document.getElementById(id)?.scrollTo({ left, behavior: "instant" });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function refresh() {
  if (isBusy || isOver) return;
  isBusy = true;
  try {
    const response = await fetch(live.dataset.address, {
      headers: { Accept: "text/html" },
      cache: "no-store",
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    if (response.type === "opaqueredirect" || response.status === 401 || response.status === 403) return end("ended");
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const now = words(page);
    for (const part of live.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh) replace(part, fresh);
    }
    if (now !== verdict) told.textContent = verdict = now; // nothing else of it is read out
    failures = 0;
    dispatchEvent(new Event("refreshed"));
  } catch {
    failures += 1;
    if (failures >= MOST_FAILURES) end("failing");
  } finally {
    isBusy = false;
    refreshedAt = Date.now();
  }
}

function end(reason) {
  isOver = true;
  clearInterval(timer);
  say(reason);
  told.textContent = stopped.innerText;
}

function tick() {
  if (isOver || document.hidden) return;
  const isAttended = Date.now() - attendedAt < unattended;
  say(isAttended ? "" : "unattended");
  if (isAttended && Date.now() - refreshedAt >= wait) refresh();
}

function attend() {
  const wasAway = Date.now() - attendedAt >= unattended;
  attendedAt = Date.now();
  if (wasAway) tick();
}

const timer = setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
for (const kind of ["pointermove", "pointerdown", "keydown", "scroll"]) {
  document.addEventListener(kind, attend, { passive: true });
}
document.addEventListener("pointerdown", () => { isPressed = true; });
for (const kind of ["pointerup", "pointercancel"]) document.addEventListener(kind, () => { isPressed = false; });
