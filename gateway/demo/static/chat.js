"use strict";

const socket = new WebSocket(`${location.origin.replace("http", "ws")}/chat/socket`);
const state = document.getElementById("state");
const messages = document.getElementById("messages");
const text = document.getElementById("text");

socket.addEventListener("open", () => { state.textContent = "Connected."; });
socket.addEventListener("close", (event) => { state.textContent = `Closed with code ${event.code}.`; });
socket.addEventListener("message", (event) => {
  const item = document.createElement("li");
  item.textContent = event.data;
  messages.append(item);
});
document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  socket.send(text.value);
  text.value = "";
});
