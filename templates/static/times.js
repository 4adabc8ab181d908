// Times stand in UTC, like those that are typed into filters, drawn, and downloaded. With this, pointing at one shows it in
// the reader's own zone, whose name stands beside it.
"use strict";

const SHAPE = { dateStyle: "medium", timeStyle: "long" }; // "long" names the zone

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.valueOf())) {
    time.title = new Intl.DateTimeFormat(navigator.language, SHAPE).format(at);
  }
}

document.getElementById("problem")?.focus();
