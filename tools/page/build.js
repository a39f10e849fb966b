// Builds what the interactive page is built on, from the packages that package-lock.json names:
//   vendor/d3.js         a script that defines `d3`
//   vendor/graphviz.js   the layout worker
//   vendor/LICENSES.txt  whose work this is
import { readFile, readdir, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const VENDOR = new URL("../../archdsl/drawing/page/vendor/", import.meta.url);
const SHARED = { bundle: true, minify: true, format: "iife", charset: "utf8", legalComments: "none", write: false };

async function bundle(entry, options) {
  const { outputFiles } = await build({ ...SHARED, ...options, entryPoints: [entry] });
  // A bundle stands in a <script> element: nothing in it may look like the element's end.
  const text = outputFiles[0].text.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
  await writeFile(new URL(entry, VENDOR), text);
}

async function licenses() {
  const { packages } = JSON.parse(await readFile("package-lock.json", "utf8"));
  const parts = [await readFile("graphviz-license.txt", "utf8")];
  for (const [folder, { version, dev, license }] of Object.entries(packages)) {
    if (!folder || dev) continue;
    const file = (await readdir(folder)).find((name) => /^licen[cs]e/i.test(name));
    const text = await readFile(`${folder}/${file}`, "utf8");
    parts.push(`${folder.replace("node_modules/", "")} ${version} (${license})\n\n${text.trim()}\n`);
  }
  await writeFile(new URL("LICENSES.txt", VENDOR), parts.join(`\n${"=".repeat(100)}\n\n`));
}

await bundle("d3.js", { globalName: "d3" });
await bundle("graphviz.js", {});
await licenses();
