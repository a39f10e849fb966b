// Decodes a picture, passes its pixels to the network, which has the preprocessing inside, and lists the best classes.
const SHOWN = 5;
const MEASURES = { probabilities: "probability", logits: "probability", distances: "distance", scores: "score" };
const element = (id) => document.getElementById(id);
const say = (text) => { element("status").textContent = text; };

function pixelsOf(bitmap) {
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const rgb = new Uint8Array(rgba.length / 4 * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return rgb;
}

function measured(values, kind) {
  if (values.length === 1) return [values, "score"];
  if (kind !== "logits") return [values, MEASURES[kind] ?? "score"];
  const most = values.reduce((a, b) => Math.max(a, b));
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return [powers.map((power) => power / sum), "probability"];
}

function show(values, facts) {
  const [numbers, measure] = measured(values, facts.output);
  const sign = measure === "distance" ? 1 : -1;
  const order = [...numbers.keys()].sort((a, b) => sign * (numbers[a] - numbers[b])).slice(0, SHOWN);
  element("measure").textContent = measure;
  document.querySelector("tbody").replaceChildren(...order.map((index) => {
    const row = document.createElement("tr");
    const value = measure === "probability" ? `${(100 * numbers[index]).toFixed(2)} %` : numbers[index].toPrecision(4);
    for (const text of [facts.labels?.[index] ?? `class ${index}`, value]) row.appendChild(document.createElement("td")).textContent = text;
    return row;
  }));
  document.querySelector("table").hidden = false;
}

async function classify(file, ort, session, facts) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  const tensor = new ort.Tensor("uint8", pixelsOf(bitmap), [1, bitmap.height, bitmap.width, 3]);
  const start = performance.now();
  const outputs = await session.run({ [facts.input]: tensor });
  const values = Array.from(outputs[session.outputNames[0]].data, Number);
  say(`${bitmap.width} x ${bitmap.height} pixels, ${Math.round(performance.now() - start)} ms`);
  globalThis.values = values;
  show(values, facts);
}

async function main() {
  const ort = await import("./runtime/ort.wasm.bundle.min.mjs").catch(() => {
    throw new Error("the folder `runtime` lacks the files of onnxruntime-web: see README.md");
  });
  const facts = await (await fetch("network.json")).json();
  element("name").textContent = document.title = facts.name;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: new URL("runtime/ort-wasm-simd-threaded.wasm", document.baseURI).href };
  const session = await ort.InferenceSession.create("model.onnx");
  const input = element("file");
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    const picture = element("picture");
    URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(file);
    picture.hidden = false;
    document.querySelector("table").hidden = true;
    say("running");
    await classify(file, ort, session, facts).catch((problem) => say(`cannot classify it: ${problem.message}`));
  });
  input.disabled = false;
  say("choose a picture");
}

main().catch((problem) => say(`cannot load the network: ${problem.message}`));
