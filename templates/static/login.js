// The pages of signing in work without this. With it: the part of the address behind # survives signing in, the
// password can be shown, Caps Lock is noticed, forms are sent once, the page that waits for a mail goes on by itself, and codes can be
// copied and printed.
"use strict";

for (const target of document.querySelectorAll("[data-fragment]")) {
  if (location.hash && !target.value.includes("#")) {
    target.value += location.hash;
  }
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

// What is typed into a password field can't be seen, so the page says that Caps Lock is on.
for (const field of document.querySelectorAll("[data-caps]")) {
  const line = document.createElement("p");
  line.className = "rule caps";
  line.setAttribute("aria-live", "polite");
  field.closest(".field").append(line);
  const look = (event) => {
    const said = event.getModifierState?.("CapsLock") ? field.dataset.caps : "";
    if (line.textContent !== said) { // a screen reader says it once, not with every letter
      line.textContent = said;
    }
  };
  for (const event of ["keydown", "keyup", "blur"]) {
    field.addEventListener(event, look);
  }
}

for (const form of document.querySelectorAll("[data-once]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) {
      event.preventDefault();
      return;
    }
    sent = true;
    form.querySelector("[type=submit]")?.setAttribute("aria-busy", "true");
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

// A button that leads to another page with what was typed, except the field that it names: that one isn't sent.
for (const button of document.querySelectorAll("[data-without]")) {
  const field = document.getElementById(button.dataset.without);
  button.addEventListener("click", () => {
    field.disabled = true;
    setTimeout(() => { // the browser has read the form by then
      field.disabled = false;
    });
  });
}

// The page that waits for the mailed link: ask now and then, and go on when the answer leads elsewhere.
for (const form of document.querySelectorAll("[data-follow]")) {
  const address = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
  const ask = async () => {
    const answer = await fetch(address, { redirect: "manual", cache: "no-store" }).catch(() => null);
    if (answer?.type === "opaqueredirect") {
      location.replace(address);
    } else {
      setTimeout(ask, 3000);
    }
  };
  setTimeout(ask, 3000);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const list = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText([...list.querySelectorAll("code")].map((code) => code.textContent).join("\n"));
    button.textContent = button.dataset.done;
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// What would refuse a new password is said while it is typed, by the same rules as later.
for (const field of document.querySelectorAll("[data-hint]")) {
  const rule = document.getElementById("rule");
  const first = rule.textContent;
  let last = 0;
  let timer;
  const ask = async () => {
    const turn = ++last;
    const answer = await fetch(field.dataset.hint, {
      method: "POST",
      body: new URLSearchParams(new FormData(field.form)),
      cache: "no-store",
    }).catch(() => null);
    const said = answer?.ok ? await answer.json() : null;
    if (said === null || turn !== last) {
      return;
    }
    rule.textContent = said.is_good ? rule.dataset.good : said.hint || first;
    rule.classList.toggle("good", said.is_good === true);
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    last++;
    rule.classList.remove("good");
    if (field.value.length < field.minLength) {
      rule.textContent = first;
    } else {
      timer = setTimeout(ask, 300);
    }
  });
}

// Work that goes on in the background: show how far it is.
for (const page of document.querySelectorAll("[data-progress]")) {
  const look = async () => {
    const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    if (answer?.ok) {
      const now = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main > *");
      page.replaceChildren(...now.childNodes);
      if (!("progress" in now.dataset)) {
        return;
      }
    }
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
}

