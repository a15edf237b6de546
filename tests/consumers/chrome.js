// SPDX-License-Identifier: MIT
// chrome.js FILE: the sums of a trace's calls, then how many of them the Firefox Profiler's
// own importer finds, if this node can run it.
"use strict";
const fs = require("fs");
const path = require("path");
const { spawnSync } = require("child_process");
const file = process.argv[2];
const trace = JSON.parse(fs.readFileSync(file));
const calls = trace.traceEvents.filter((e) => e.ph === "X");

function sum(category, names) {
  return calls.filter((e) => e.cat === category && names.includes(e.name) && e.args.result > 0)
    .reduce((total, e) => total + e.args.result, 0);
}

console.log("left out", trace.otherData.shorter_calls_left_out);
console.log("read", sum("file", ["read"]));
console.log("written", sum("file", ["write"]));
console.log("sent", sum("socket", ["send"]));
console.log("received", sum("socket", ["recv"]));
console.log("live at most", Math.max(...trace.traceEvents.filter((e) => e.name === "heap")
  .map((e) => e.args.live_bytes)));
console.log("waits", calls.filter((e) => e.cat === "wait").map((e) => e.name).sort().join(" "));
console.log("objects", calls.some((e) => e.cat === "file" && e.args.called_by === "use_file()" &&
  e.args.object.endsWith("/exported.data")));

const bin = path.join(path.dirname(require.resolve("speedscope/package.json")), "../.bin/pq");
const pq = (...words) => spawnSync(process.execPath, [bin, ...words],
  { encoding: "utf8", timeout: 60000 });
if (parseInt(process.versions.node, 10) < 20) {
  console.log("profiler-cli cannot run");
} else {
  const loaded = pq("load", file);
  const said = pq("profile", "markers", "--limit", "1").stdout;
  const threads = pq("thread", "list").stdout;
  pq("stop");
  const found = /of (\d+) markers across 2 of 2 threads/.exec(said);
  if (!found) throw new Error(loaded.stdout + loaded.stderr + said);
  console.log("profiler-cli", +found[1] === calls.length, / exported /.test(threads));
}
