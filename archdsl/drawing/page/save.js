"use strict";
// Saves the current view as an SVG or PNG file that looks the same in every viewer: styles become attributes.

const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "opacity", "display", "paint-order", "stroke-linejoin", "stroke-opacity"];

function asSvg(view, title, about) {
  const { drawing, root } = view;
  const margin = 16;
  const [width, height] = [drawing.width + 2 * margin, drawing.height + 2 * margin];
  const copy = root.cloneNode(true);
  const originals = root.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, number) => {
    const style = getComputedStyle(originals[number]);
    for (const name of KEPT) {
      const value = style.getPropertyValue(name);
      if ((value && value !== "none") || name === "fill" || name === "display") element.setAttribute(name, plainColour(value));
    }
    for (const name of ["style", "role", "tabindex", "data-key", "data-arrow", "data-opens", "data-frame", "aria-expanded", "aria-label", "aria-hidden"]) element.removeAttribute(name);
  });
  for (const element of copy.querySelectorAll('[display="none"], .opener, .collapse')) element.remove();
  for (const element of copy.querySelectorAll("*")) for (const name of ["display", "class"]) element.removeAttribute(name);
  copy.setAttribute("transform", `translate(${margin} ${margin})`);
  const picture = svg("svg", { xmlns: SVG, viewBox: `0 0 ${width} ${height}`, width, height, role: "img" });
  const words = [svg("title"), svg("desc")];
  words[0].textContent = title;
  words[1].textContent = about;
  const paper = getComputedStyle(view.element).backgroundColor;
  picture.append(...words, svg("rect", { width, height, fill: paper }), copy);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<!-- drawn by archdsl -->\n${new XMLSerializer().serializeToString(picture)}\n`;
}

/** A colour in the syntax that every viewer supports: color(srgb 1 0.5 0) is rgb(255, 128, 0). */
function plainColour(value) {
  const parts = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)/.exec(value);
  return parts ? `rgb(${parts.slice(1).map((part) => Math.round(255 * Number(part))).join(", ")})` : value;
}

const MAX_SIDE = 16000;

/** The pixels of an SVG, two for each of its own, fewer if the picture would be too large. */
async function asPng(text) {
  const image = new Image();
  image.src = URL.createObjectURL(svgBlob(text));
  await image.decode();
  const scale = Math.min(2, MAX_SIDE / Math.max(image.width, image.height));
  const canvas = html("canvas", { width: Math.round(image.width * scale), height: Math.round(image.height * scale) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const svgBlob = (text) => new Blob([text], { type: "image/svg+xml" });

function download(blob, name) {
  const link = html("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
