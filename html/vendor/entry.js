// What the page takes from npm, as members of the global `vendor`.
import uPlot from "uplot";
import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
export { uPlot, flamegraph, select };
