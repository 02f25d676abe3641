// What the editors of boxes and of areas share: an SVG over a picture.
const drawing = {
  element(svg, name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    svg.append(made);
    return made;
  },

  // A small picture is shown larger, and none is higher than the window, now and later.
  fit(canvas, draw) {
    const picture = canvas.querySelector("img");
    function fit() {
      if (!picture || !picture.naturalWidth) return;
      const [w, h] = [picture.naturalWidth, picture.naturalHeight];
      const shown = Math.min(canvas.parentElement.clientWidth - 36, (0.74 * innerHeight * w) / h, 4 * w);
      picture.style.width = `${Math.max(240, Math.round(shown))}px`;
      picture.style.maxHeight = "none";
      draw();
    }
    addEventListener("resize", fit);
    picture?.addEventListener("load", fit);
    fit();
  },
};
