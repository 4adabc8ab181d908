"use strict";

const list = document.getElementById("events");
new EventSource("/live/stream").addEventListener("message", (event) => {
  const { tick, who } = JSON.parse(event.data);
  const item = document.createElement("li");
  item.textContent = `${who}: tick ${tick}`;
  list.append(item);
});
