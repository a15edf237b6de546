// SPDX-License-Identifier: MIT
// The pictures in docs/images/, of pages that are there. Usage, where node_modules of
// tests/browser is: BROWSER=/usr/bin/chromium node shots.mjs LIGHT.html DARK.html FUNCTION FOLDER
import { join } from "node:path";
import { chromium } from "playwright-core";

const [light, dark, name, folder] = process.argv.slice(2);
const browser = await chromium.launch({executablePath: process.env.BROWSER, args: ["--no-sandbox"]});

const VIEWS = [
	{picture: "page-light", file: light, colorScheme: "light", viewport: {width: 1280, height: 1560}},
	{picture: "page-dark", file: dark, colorScheme: "dark", viewport: {width: 1280, height: 960}, act: async (page) => {
		await page.click("#tab-functions");
		await page.fill("#panel-functions input", name);
		await page.click(`#panel-functions tbody button >> text=/^${name}$/`);
		await page.evaluate(() => document.querySelector("#flame").scrollIntoView());
	}},
	{picture: "page-phone", file: light, colorScheme: "light", viewport: {width: 390, height: 844}, act: (page) =>
		page.evaluate(() => document.querySelector("#timeline").scrollIntoView())},
];

for (const {picture, file, act, ...options} of VIEWS) {
	const page = await browser.newPage(options);
	await page.goto(`file://${file}`);
	await page.waitForSelector("html[data-ready=yes]");
	if (act) await act(page);
	await page.waitForTimeout(500);
	await page.screenshot({path: join(folder, `${picture}.png`)});
	await page.close();
}
await browser.close();
