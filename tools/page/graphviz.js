// The layout worker: DOT text in, Graphviz's JSON out. It is told nothing but numbers, and fetches nothing.
import { Graphviz } from "@hpcc-js/wasm-graphviz";

const loading = Graphviz.load();
onmessage = async ({ data: { id, dot } }) => {
  try {
    const graphviz = await loading;
    postMessage({ id, begun: true });
    postMessage({ id, drawn: graphviz.layout(dot, "json0", "dot") });
  } catch (problem) {
    postMessage({ id, problem: String(problem) });
  }
};
