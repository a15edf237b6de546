// SPDX-License-Identifier: MIT
// speedscope_schema.js FILE: valid by speedscope's own schema? Prints "name unit total" of
// each profile, and "active name".
"use strict";
const fs = require("fs");
const path = require("path");
const Ajv = require("ajv");
const release = path.join(path.dirname(require.resolve("speedscope/package.json")), "dist/release");
const schema = JSON.parse(fs.readFileSync(path.join(release, "file-format-schema.json")));
const validate = new Ajv({ strict: false }).compile(schema);
const file = JSON.parse(fs.readFileSync(process.argv[2]));
if (!validate(file)) {
  console.error(JSON.stringify(validate.errors, null, 1));
  process.exit(1);
}
for (const p of file.profiles) {
  const total = p.weights.reduce((a, b) => a + b, 0);
  for (const s of p.samples)
    for (const f of s) if (!file.shared.frames[f]) throw new Error("no frame " + f);
  if (p.samples.length !== p.weights.length || total !== p.endValue) throw new Error(p.name);
  console.log(p.name.split(":")[0], p.unit, total);
}
console.log("active", file.profiles[file.activeProfileIndex].name.split(":")[0]);
