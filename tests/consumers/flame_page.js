// SPDX-License-Identifier: MIT
// flame_page.js FILE.svg NAME: a flame graph used as a reader would. NAME is a frame to
// look for. Prints what was seen, one fact a line.
"use strict";
const path = require("path");
const run = require("./browser.js");
const [file, name] = [path.resolve(process.argv[2]), process.argv[3]];
const status = (page) => page.locator(".status").textContent();
const widths = (page) => page.evaluate(() => Array.from(document.querySelectorAll("#frames > g"))
  .filter((g) => !/hidden/.test(g.getAttribute("class") || ""))
  .map((g) => [g.querySelector("title").textContent.split("\n")[0],
    g.querySelector("rect").getBoundingClientRect().width]));

async function width(page, wanted) {
  const found = (await widths(page)).find((w) => w[0] === wanted);
  return found ? Math.round(found[1]) : 0;
}

run({ width: 900, height: 600 }, async (page) => {
  await page.goto("file://" + file);
  console.log("all", await width(page, "all"));
  console.log("images", await page.locator("img, image").count());
  await page.keyboard.press("/");
  await page.keyboard.type("^" + name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&") + "$");
  console.log("search", await status(page));
  console.log("found", await page.locator("#frames g.found:not(.hidden)").count());
  await page.keyboard.press("Escape");
  console.log("reset", JSON.stringify(await status(page)));
  const before = await width(page, name);
  const frame = page.locator("#frames > g", { hasText: name }).locator("rect").first();
  await frame.click();
  console.log("zoomed", before < (await width(page, name)), await width(page, name));
  await page.keyboard.press("Escape");
  console.log("again", before === (await width(page, name)));
  await page.mouse.move(1, 1);
  await frame.hover();
  console.log("details", (await page.locator("#details").textContent()).startsWith(name));
  await page.keyboard.press("i");
  console.log("swapped", await status(page), await width(page, "all"));
  await page.keyboard.press("i");
  const y = (text) => page.evaluate((t) => {
    const g = Array.from(document.querySelectorAll("#frames > g"))
      .find((e) => e.querySelector("title").textContent.split("\n")[0] === t);
    return +g.querySelector("rect").getAttribute("y");
  }, text);
  const flame = (await y("all")) > (await y(name));
  await page.keyboard.press("f");
  console.log("icicle", flame, (await y("all")) < (await y(name)));
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  console.log("by keys", (await status(page)).startsWith("zoomed"));
  await page.setViewportSize({ width: 320, height: 400 });
  await page.keyboard.press("Escape");
  console.log("narrow", await width(page, "all"));
});
