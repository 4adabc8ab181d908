// The sign-in page works without this. With it: the part of the address behind # survives signing in, the
// password can be shown, and the form is sent once.
"use strict";

const target = document.querySelector("[data-fragment]");
if (target && location.hash && !target.value.includes("#")) {
  target.value += location.hash;
}

for (const button of document.querySelectorAll("[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    field.focus();
  });
}

for (const form of document.querySelectorAll("[data-once]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) {
      event.preventDefault();
      return;
    }
    sent = true;
    form.querySelector("[type=submit]").setAttribute("aria-busy", "true");
    for (const field of form.querySelectorAll("[type=text]")) {
      field.type = "password"; // a browser offers to remember only what was typed into a password field
    }
  });
  // Coming back with the back button shows the page as it was left; let it be sent again.
  addEventListener("pageshow", () => {
    sent = false;
    form.querySelector("[type=submit]").removeAttribute("aria-busy");
  });
}

document.getElementById("problem")?.focus();
