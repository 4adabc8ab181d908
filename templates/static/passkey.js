// Asks the browser for a passkey, or to make one, when the form with data-passkey is sent, and sends its answer along.
// With data-autofill, passkeys are also offered where the email is typed. Without this script, or in a browser without
// passkeys, the form stays hidden, and the page says what else there is.
"use strict";

const RENEW_MILLISECONDS = 240_000; // before the challenge of five minutes is too old

const form = document.querySelector("[data-passkey]");
const outcomes = document.querySelector("[data-outcomes]");
let waiting = null; // what ends the offer where the email is typed

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  document.querySelector("[data-unsupported]")?.remove();
  form.hidden = false;
  if ("autofill" in form.dataset) {
    offer();
  }
}

// Coming back with the back button shows the page as it was left; let it be sent again.
addEventListener("pageshow", () => form.querySelector("[type=submit]").removeAttribute("aria-busy"));

function tell(word) {
  form.querySelector("[type=submit]").removeAttribute("aria-busy");
  for (const sentence of outcomes.children) {
    sentence.hidden = sentence.dataset.outcome !== word;
  }
  if (outcomes.querySelector(":not([hidden])") === null) {
    outcomes.querySelector("[data-outcome=other]").hidden = false;
  }
  outcomes.hidden = false;
  outcomes.focus();
}

async function askServer() {
  const response = await fetch(form.dataset.options, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (!response.ok && response.status !== 409) {
    throw new Error(`status ${response.status}`); // a blocked address, or trouble on the server
  }
  if (!response.ok || response.redirected) {
    return null; // the sign-in has ended, or the page needs a fresh proof first
  }
  return response.json();
}

async function askBrowser({ options, challenge }, more = {}) {
  const answer = form.dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), ...more });
  form.elements.challenge.value = challenge;
  form.elements.answer.value = JSON.stringify(answer);
  form.submit();
}

// Offer passkeys where the email is typed, until one is chosen or the button is pressed.
async function offer() {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) {
    return;
  }
  const asked = await askServer().catch(() => null);
  if (asked === null) {
    return;
  }
  const mine = new AbortController();
  waiting = mine;
  const renewal = setTimeout(() => { mine.abort(); offer(); }, RENEW_MILLISECONDS);
  try {
    await askBrowser(asked, { mediation: "conditional", signal: mine.signal });
  } catch {
    // Ended by us, or the browser would not wait: the button is still there.
  } finally {
    clearTimeout(renewal);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  if (button.getAttribute("aria-busy")) {
    return;
  }
  button.setAttribute("aria-busy", "true");
  outcomes.hidden = true;
  waiting?.abort();
  try {
    const asked = await askServer();
    if (asked === null) {
      tell("gone");
    } else {
      await askBrowser(asked);
    }
  } catch (error) {
    tell(error.name);
  }
});
