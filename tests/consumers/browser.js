// SPDX-License-Identifier: MIT
// What the browser tests share: a page of the installed Chromium without network, which
// fails on errors and dialogs.
"use strict";
const { chromium } = require("playwright-core");

module.exports = async function (viewport, action) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--allow-file-access-from-files"],
  });
  const problems = [];
  try {
    const page = await browser.newPage({ viewport });
    page.on("pageerror", (e) => problems.push("error: " + e.message));
    page.on("dialog", (d) => { problems.push("dialog: " + d.message()); d.dismiss(); });
    page.on("request", (r) => {
      if (!/^(file|data|blob):/.test(r.url())) problems.push("asks for " + r.url());
    });
    await action(page);
  } finally {
    await browser.close();
  }
  if (problems.length) {
    console.error(problems.join("\n"));
    process.exit(1);
  }
};
