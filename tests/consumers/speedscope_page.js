// SPDX-License-Identifier: MIT
// speedscope_page.js FILE...: each loaded by speedscope's own page. Prints what its table
// says of main: "FILE 100% name of the profile".
"use strict";
const fs = require("fs");
const path = require("path");
const run = require("./browser.js");
const release = path.join(path.dirname(require.resolve("speedscope/package.json")), "dist/release");

async function load(page, file) {
  const name = JSON.stringify(path.basename(file));
  const data = JSON.stringify(fs.readFileSync(file).toString("base64"));
  const script = path.resolve(file + ".js");
  fs.writeFileSync(script, `speedscope.loadFileFromBase64(${name}, ${data})`);
  await page.goto("about:blank");
  await page.goto(`file://${release}/index.html#localProfilePath=${script}`);
  await page.getByText("Sandwich").click();
  const row = page.locator("tr", { hasText: /main$/ }).first();
  await row.waitFor({ timeout: 20000 });
  const text = (await row.innerText()).replace(/\s+/g, " ");
  const share = /\((\d+(\.\d+)?%)\)/.exec(text);
  console.log(path.basename(file), share ? share[1] : text);
}

run({ width: 1200, height: 800 }, async (page) => {
  for (const file of process.argv.slice(2)) await load(page, file);
});
