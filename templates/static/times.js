// Times stand in UTC on the page. With this they are shown in the reader's own zone, and in UTC on hover.
"use strict";

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.valueOf())) {
    const hasSeconds = time.classList.contains("stamp");
    const shape = { dateStyle: "medium", timeStyle: hasSeconds ? "medium" : "short" };
    time.title = time.textContent;
    time.textContent = new Intl.DateTimeFormat(navigator.language, shape).format(at);
  }
}

document.getElementById("problem")?.focus();
