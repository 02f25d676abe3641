// "Check labels": boxes (or points) are moved, drawn and marked on the picture, by mouse, touch or
// keyboard. The form's table is the same without a script; what is sent is one list.
(() => {
  "use strict";
  const form = document.querySelector("form[data-editor]");
  if (!form) return;
  const canvas = form.querySelector(".canvas");
  const svg = canvas.querySelector("svg");
  const status = form.querySelector(".status");
  const width = Number(form.dataset.width);
  const height = Number(form.dataset.height);
  const classes = JSON.parse(form.dataset.classes);
  const isPoints = form.dataset.points === "yes";
  const LEAST = 2; // px of a box that somebody draws
  const EDGE = 0.3; // px: nearer to an edge a point's box would be too small to be saved
  let boxes = [];
  let chosen = -1;
  let newClass = 0;
  let drag = null;
  const past = [];

  // -- from the table and back --------------------------------------------------------------------

  for (const row of form.querySelectorAll(".rows tbody tr")) {
    const name = row.querySelector("select").value;
    const edges = [...row.querySelectorAll("input:not([type=checkbox])")].map((i) => i.value);
    if (name) boxes.push({ name, edges: edges.map(Number), wrong: false });
  }
  form.querySelector(".rows").remove();
  form.querySelector(".keys").hidden = false;
  const usual = pointSize();

  function pointSize() {
    const sides = boxes.map((b) => b.edges[2] - b.edges[0]).sort((a, b) => a - b);
    return sides.length ? sides[sides.length >> 1] : 0.02 * Math.max(width, height);
  }

  form.addEventListener("submit", () => {
    const kept = boxes.filter((box) => !box.wrong);
    form.elements.labels.value = JSON.stringify(kept.map((box) => [box.name, ...box.edges]));
  });

  // -- drawing ------------------------------------------------------------------------------------

  const element = (name, attributes) => drawing.element(svg, name, attributes);

  function draw() {
    svg.replaceChildren();
    const px = width / (svg.getBoundingClientRect().width || width); // of the picture a screen pixel
    boxes.forEach((box, k) => {
      const [x1, y1, x2, y2] = box.edges;
      const kind = `box teacher${box.wrong ? " wrong" : ""}${k === chosen ? " chosen" : ""}`;
      if (isPoints) {
        const at = { cx: (x1 + x2) / 2, cy: (y1 + y2) / 2, r: Math.max(5 * px, (x2 - x1) / 4) };
        element("circle", { class: "halo", ...at });
        element("circle", { class: kind, ...at });
      } else {
        const at = { x: x1, y: y1, width: x2 - x1, height: y2 - y1 };
        element("rect", { class: "halo", ...at });
        element("rect", { class: kind, ...at });
        if (box.wrong) element("path", { class: kind, d: `M${x1} ${y1}L${x2} ${y2}M${x2} ${y1}L${x1} ${y2}` });
      }
      if (k !== chosen) return;
      const tag = { class: "tag shown", x: x1, y: Math.max(14 * px, y1 - 5 * px), "font-size": 13 * px };
      element("text", tag).textContent = box.name + (box.wrong ? ", wrong" : "");
      if (isPoints) return;
      for (const [x, y] of corners(box)) element("circle", { class: "handle", cx: x, cy: y, r: 6 * px });
    });
  }

  const corners = ({ edges: [x1, y1, x2, y2] }) => [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];

  function tell(said) {
    const right = boxes.filter((box) => !box.wrong).length;
    const what = isPoints ? "point" : "box";
    const box = boxes[chosen];
    const now = box ? `${what} ${chosen + 1} of ${boxes.length}: ${box.name}${box.wrong ? ", wrong" : ""}` : "";
    const each = isPoints ? (right === 1 ? "point" : "points") : right === 1 ? "box" : "boxes";
    status.textContent = [said, now || `${right} ${each}; new ones are ${classes[newClass]}`].filter(Boolean).join("; ");
    draw();
  }

  // -- changes ------------------------------------------------------------------------------------

  function remember() {
    past.push(JSON.stringify(boxes));
    if (past.length > 100) past.shift();
  }

  const inside = (value, most) => Math.min(Math.max(value, 0), most);
  const round = (value) => Math.round(value * 10) / 10;

  function setEdges(box, [x1, y1, x2, y2]) {
    const xs = [inside(x1, width), inside(x2, width)].sort((a, b) => a - b);
    const ys = [inside(y1, height), inside(y2, height)].sort((a, b) => a - b);
    if (xs[1] - xs[0] < 1 || ys[1] - ys[0] < 1) return;
    box.edges = [xs[0], ys[0], xs[1], ys[1]].map(round);
  }

  // A point is the middle of its box, so at an edge the box is smaller on all sides.
  function setPoint(box, x, y) {
    const [cx, cy] = [[x, width], [y, height]].map(([v, most]) => Math.min(Math.max(v, EDGE), most - EDGE));
    const half = Math.min(Math.max(usual / 2, EDGE), cx, width - cx, cy, height - cy);
    box.edges = [cx - half, cy - half, cx + half, cy + half].map(round);
  }

  function shift(box, from, x, y) {
    const [x1, y1, x2, y2] = from;
    if (isPoints) {
      setPoint(box, (x1 + x2) / 2 + x, (y1 + y2) / 2 + y);
      return;
    }
    const right = Math.min(Math.max(x, -x1), width - x2);
    const down = Math.min(Math.max(y, -y1), height - y2);
    box.edges = [x1 + right, y1 + down, x2 + right, y2 + down].map(round);
  }

  function add(x, y, w, h) {
    remember();
    const box = { name: classes[newClass], edges: [0, 0, 0, 0], wrong: false };
    if (isPoints) setPoint(box, x, y);
    else setEdges(box, [x - w / 2, y - h / 2, x + w / 2, y + h / 2]);
    chosen = boxes.push(box) - 1;
  }

  // -- mouse and touch ----------------------------------------------------------------------------

  function place(event) {
    const at = svg.getBoundingClientRect();
    const px = width / at.width;
    return { x: (event.clientX - at.left) * px, y: (event.clientY - at.top) * (height / at.height), px };
  }

  function under({ x, y, px }) {
    const near = isPoints ? 8 * px : 3 * px;
    let best = -1;
    let area = Infinity;
    boxes.forEach(({ edges: [x1, y1, x2, y2] }, k) => {
      const size = (x2 - x1) * (y2 - y1);
      const hit = x > x1 - near && x < x2 + near && y > y1 - near && y < y2 + near;
      if (hit && size < area) [best, area] = [k, size];
    });
    return best;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    const at = place(event);
    const box = boxes[chosen];
    const corner = !box || isPoints ? -1
      : corners(box).findIndex(([x, y]) => Math.hypot(x - at.x, y - at.y) < 12 * at.px);
    const before = JSON.stringify(boxes);
    if (corner >= 0) {
      const [x, y] = corners(box)[(corner + 2) % 4];
      drag = { kind: "size", before, x, y, box };
    } else {
      chosen = under(at);
      const hit = boxes[chosen];
      drag = hit ? { kind: "move", before, from: [...hit.edges], x: at.x, y: at.y, box: hit }
        : { kind: "new", before, x: at.x, y: at.y, box: null };
    }
    tell();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const at = place(event);
    if (drag.kind === "move") shift(drag.box, drag.from, at.x - drag.x, at.y - drag.y);
    else if (isPoints) return;
    else {
      const far = Math.abs(at.x - drag.x) > LEAST && Math.abs(at.y - drag.y) > LEAST;
      if (!drag.box && far) {
        drag.box = { name: classes[newClass], edges: [0, 0, 0, 0], wrong: false };
        chosen = boxes.push(drag.box) - 1;
      }
      if (drag.box) setEdges(drag.box, [drag.x, drag.y, at.x, at.y]);
    }
    tell();
  });

  canvas.addEventListener("pointerup", () => {
    if (drag && isPoints && drag.kind === "new") add(drag.x, drag.y, usual, usual);
    else if (drag && JSON.stringify(boxes) !== drag.before) past.push(drag.before);
    drag = null;
    tell();
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });

  // -- keyboard -----------------------------------------------------------------------------------

  const step = Math.max(1, Math.round(width / 200));
  const ARROWS = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };

  function onArrow(event) {
    const box = boxes[chosen];
    if (!box) return;
    const [x, y] = ARROWS[event.key].map((v) => (event.altKey ? Math.sign(v) : v));
    remember();
    if (event.shiftKey && !isPoints) {
      const [x1, y1, x2, y2] = box.edges;
      setEdges(box, [x1, y1, Math.max(x1 + 1, x2 + x), Math.max(y1 + 1, y2 + y)]);
    } else shift(box, box.edges, x, y);
    tell();
  }

  function onClass(number) {
    if (number >= classes.length) return;
    newClass = number;
    if (boxes[chosen]) {
      remember();
      boxes[chosen].name = classes[number];
    }
    tell();
  }

  const follow = (which) => {
    const link = form.querySelector(`a[${which}]`);
    if (link) link.click();
  };
  const KEYS = {
    Enter: () => form.requestSubmit(),
    " ": () => { chosen = boxes.length ? (chosen + 1) % boxes.length : -1; tell(); },
    x: () => {
      if (!boxes[chosen]) return;
      remember();
      boxes[chosen].wrong = !boxes[chosen].wrong;
      tell();
    },
    a: () => { isPoints ? add(width / 2, height / 2, usual, usual) : add(width / 2, height / 2, width / 8, height / 8); tell("added"); },
    z: () => { if (past.length) boxes = JSON.parse(past.pop()); chosen = Math.min(chosen, boxes.length - 1); tell("undone"); },
    b: () => follow("data-before"),
    s: () => follow("data-after"),
    Escape: () => { chosen = -1; tell(); },
  };
  KEYS.Delete = KEYS.x;

  function onKey(key) {
    if (/^[1-9]$/.test(key)) onClass(Number(key) - 1);
    else if (KEYS[key]) KEYS[key]();
    else return false;
    return true;
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (ARROWS[key]) onArrow(event);
    else if (!onKey(key)) return;
    event.preventDefault();
  });
  form.querySelector(".keys").addEventListener("click", (event) => {
    const button = event.target.closest("[data-key]");
    if (!button) return;
    onKey(button.dataset.key);
    canvas.focus({ preventScroll: true });
  });

  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `The picture with its ${isPoints ? "points" : "boxes"}: keys are listed below`);
  drawing.fit(canvas, draw);
  canvas.focus({ preventScroll: true });
  tell();
})();
