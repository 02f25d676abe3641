// "Masks and ignore zones": areas are drawn on the picture by mouse, touch or keyboard. The text
// fields below the picture hold the same, and are what is sent.
(() => {
  "use strict";
  const form = document.querySelector("form[data-areas]");
  if (!form) return;
  const canvas = form.querySelector(".canvas");
  const svg = canvas.querySelector("svg");
  const status = form.querySelector(".status");
  const fields = [...form.querySelectorAll("textarea")];
  const past = [];
  let areas = {}; // by key: a list of areas, each a list of [x, y] in percent
  let open = null; // the corners of the area that is being drawn
  let chosen = null; // { key, area, corner }
  let cross = [50, 50];
  let drag = null;

  // -- from the text and back ---------------------------------------------------------------------

  function read() {
    for (const field of fields) {
      const lines = field.value.split("\n").filter((line) => line.trim());
      areas[field.name] = lines.map((line) => line.trim().split(/\s+/).map((c) => c.split(",").map(Number)));
    }
  }

  function write() {
    const percent = (value) => String(Math.round(value * 100) / 100);
    for (const field of fields) {
      field.value = areas[field.name].map((area) => area.map((c) => c.map(percent).join(",")).join(" ")).join("\n");
    }
  }

  const key = () => form.elements.what.value;
  const state = () => JSON.stringify({ areas, open });
  const remember = () => { past.push(state()); if (past.length > 100) past.shift(); };

  // -- drawing ------------------------------------------------------------------------------------

  const element = (name, attributes) => drawing.element(svg, name, attributes);

  function draw() {
    svg.replaceChildren();
    const size = svg.getBoundingClientRect();
    const rx = 600 / (size.width || 600);
    const ry = 600 / (size.height || 600);
    const points = (area) => area.map((corner) => corner.join(",")).join(" ");
    for (const field of fields) {
      areas[field.name].forEach((area, k) => {
        const is = chosen && chosen.key === field.name && chosen.area === k;
        element("polygon", { class: `area ${field.name}${is ? " chosen" : ""}`, points: points(area) });
        if (is) area.forEach(([x, y], c) => element("ellipse", { class: `handle${c === chosen.corner ? " now" : ""}`, cx: x, cy: y, rx, ry }));
      });
    }
    if (open) {
      element("polyline", { class: `area open ${key()}`, points: points([...open, cross]) });
      open.forEach(([x, y]) => element("ellipse", { class: "handle", cx: x, cy: y, rx, ry }));
    }
    const [x, y] = cross;
    element("path", { class: "cross", d: `M${x - 2 * rx} ${y}h${4 * rx}M${x} ${y - 2 * ry}v${4 * ry}` });
  }

  function tell(said) {
    const at = `${Math.round(cross[0])} %, ${Math.round(cross[1])} %`;
    const named = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
    const counts = fields.map((f) => named(areas[f.name].length, f.name === "mask" ? "mask" : "ignore zone")).join(", ");
    const now = open ? `${named(open.length, "corner")}, Enter closes the area` : counts;
    status.textContent = [said, now, `cross at ${at}`].filter(Boolean).join("; ");
    write();
    draw();
  }

  // -- changes ------------------------------------------------------------------------------------

  const inside = (value) => Math.min(100, Math.max(0, value));

  function corner(at) {
    remember();
    chosen = null;
    open = [...(open || []), at.map((v) => Math.round(v * 100) / 100)];
    tell();
  }

  function close() {
    if (!open) return;
    if (open.length < 3) { tell("an area needs three corners"); return; }
    remember();
    areas[key()].push(open);
    chosen = { key: key(), area: areas[key()].length - 1, corner: 0 };
    open = null;
    tell("closed");
  }

  function remove() {
    if (open) { remember(); open = open.length > 1 ? open.slice(0, -1) : null; tell("corner removed"); return; }
    if (!chosen) return;
    remember();
    areas[chosen.key].splice(chosen.area, 1);
    chosen = null;
    tell("area removed");
  }

  function next() {
    const all = fields.flatMap((f) => areas[f.name].flatMap((area, k) => area.map((_, c) => ({ key: f.name, area: k, corner: c }))));
    if (!all.length || open) return;
    const at = chosen ? all.findIndex((one) => JSON.stringify(one) === JSON.stringify(chosen)) : -1;
    chosen = all[(at + 1) % all.length];
    cross = [...areas[chosen.key][chosen.area][chosen.corner]];
    tell();
  }

  function undo() {
    if (!past.length) return;
    ({ areas, open } = JSON.parse(past.pop()));
    chosen = null;
    tell("undone");
  }

  // -- mouse and touch ----------------------------------------------------------------------------

  function place(event) {
    const at = svg.getBoundingClientRect();
    return [inside(((event.clientX - at.left) / at.width) * 100), inside(((event.clientY - at.top) / at.height) * 100)];
  }

  function near([x, y]) {
    const at = svg.getBoundingClientRect();
    const close = ([a, b]) => Math.hypot(((a - x) * at.width) / 100, ((b - y) * at.height) / 100) < 14;
    for (const field of fields) {
      for (const [k, area] of areas[field.name].entries()) {
        const c = area.findIndex(close);
        if (c >= 0) return { key: field.name, area: k, corner: c };
      }
    }
    return open && open.length > 2 && close(open[0]) ? "first" : null;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.focus();
    cross = place(event);
    const hit = near(cross);
    if (hit === "first") close();
    else if (hit && !open) {
      chosen = hit;
      drag = state();
      canvas.setPointerCapture(event.pointerId);
      tell();
    } else corner(cross);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && chosen) {
      cross = place(event);
      areas[chosen.key][chosen.area][chosen.corner] = cross.map((v) => Math.round(v * 100) / 100);
      tell();
    } else if (open) { cross = place(event); draw(); }
  });
  canvas.addEventListener("pointerup", () => {
    if (drag && drag !== state()) past.push(drag);
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });

  // -- keyboard -----------------------------------------------------------------------------------

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const KEYS = {
    " ": () => corner([...cross]), Enter: close, c: next, x: remove, z: undo,
    Escape: () => { open = null; chosen = null; tell(); },
  };
  KEYS.Delete = KEYS.Backspace = KEYS.x;

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (ARROWS[name]) {
      const far = event.shiftKey ? 10 : event.altKey ? 0.25 : 2;
      cross = cross.map((v, k) => inside(v + ARROWS[name][k] * far));
      if (chosen && !open) { remember(); areas[chosen.key][chosen.area][chosen.corner] = [...cross]; }
      tell();
    } else if (KEYS[name]) KEYS[name]();
    else return;
    event.preventDefault();
  });

  form.querySelector(".keys").addEventListener("click", (event) => {
    const button = event.target.closest("[data-key]");
    if (!button) return;
    KEYS[button.dataset.key]();
    canvas.focus({ preventScroll: true });
  });
  for (const field of fields) field.addEventListener("input", () => { read(); chosen = null; draw(); });
  form.addEventListener("submit", (event) => {
    if (open && open.length > 2) close();
    else if (open) { event.preventDefault(); tell("finish the area, or press Escape"); canvas.focus(); }
  });
  form.querySelector(".what").hidden = false;
  form.querySelector(".keys").hidden = false;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "The camera's picture: keys are listed below");
  read();
  drawing.fit(canvas, draw);
  tell();
})();
