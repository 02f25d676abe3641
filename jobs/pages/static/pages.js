// Comfort for the pages; everything can be read without it.
"use strict";

// Running nights, as they go on.
const running = document.getElementById("running");
if (running && window.EventSource) {
  const list = running.querySelector(".list");
  const row = (night) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `camera/${encodeURIComponent(night.camera)}`;
    link.textContent = night.camera;
    const bar = document.createElement("progress");
    bar.max = night.stages;
    bar.value = night.done;
    bar.setAttribute("aria-label", `Stages of ${night.camera}`);
    const said = document.createElement("span");
    said.className = "soft small";
    said.textContent = `${night.done} of ${night.stages} stages, last: ${night.last}`;
    item.append(link, `, night ${night.run_id}, begun ${night.since} `, bar, " ", said);
    return item;
  };
  new EventSource(running.dataset.events).onmessage = (event) => {
    const nights = JSON.parse(event.data);
    const all = document.createElement(nights.length ? "ul" : "p");
    all.className = nights.length ? "plain" : "soft";
    if (nights.length) all.append(...nights.map(row));
    else all.textContent = "No night runs now.";
    list.replaceChildren(all);
  };
}

// A large picture: arrow keys show the next, Esc closes it.
const shots = [...document.querySelectorAll("a[data-large]")];
if (shots.length) {
  const box = document.createElement("dialog");
  box.className = "lightbox";
  const image = document.createElement("img");
  const said = document.createElement("p");
  const close = document.createElement("button");
  close.textContent = "Close";
  const more = document.createElement("a");
  more.textContent = "What teacher and models see";
  box.append(image, said, more, " ", close);
  document.body.append(box);
  let at = 0;
  const show = (next) => {
    at = (next + shots.length) % shots.length;
    image.src = shots[at].dataset.large;
    more.href = shots[at].href;
    image.alt = shots[at].querySelector("img").alt;
    said.textContent = `${shots[at].innerText.replace(/\s+/g, " ")} (${at + 1} of ${shots.length})`;
    if (!box.open) box.showModal();
  };
  shots.forEach((shot, index) => shot.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(index);
  }));
  close.addEventListener("click", () => box.close());
  box.addEventListener("close", () => shots[at].focus());
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") show(at + 1);
    if (event.key === "ArrowLeft") show(at - 1);
  });
}
