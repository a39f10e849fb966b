// What the page takes of D3: selections, and panning and zooming by mouse, wheel and touch.
export { select } from "d3-selection";
export { zoom, zoomIdentity, zoomTransform } from "d3-zoom";
