// SPDX-License-Identifier: MIT
// What the tests share: a recorded program, its page, a browser, and measures of a page.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

export const build = process.env.PERFHOOK_BUILD;
export const work = mkdtempSync(join(tmpdir(), "perfhook-page-"));

export function perfhook(...words) {
	return execFileSync(join(build, "perfhook"), words, {encoding: "utf8", maxBuffer: 1 << 28});
}

// Record one of the test programs; the trace's name.
export function record(name, program, words, environment = {}) {
	const trace = join(work, `${name}.trace`);
	execFileSync(resolve(build, "tests/programs", program), words, {
		env: {...process.env, ...environment, LD_PRELOAD: join(build, "libperfhook.so"), PERFHOOK_OUT: trace},
	});
	return trace;
}

export function makePage(name, ...words) {
	const file = join(work, name);
	perfhook("report", "--html", "-o", file, ...words);
	return file;
}

export const source = (file) => readFileSync(file, "utf8");

export async function launch() {
	return chromium.launch({executablePath: process.env.BROWSER, args: ["--no-sandbox"]});
}

// The page from disk, with all that it complains of and asks for.
export async function open(browser, file, options = {}) {
	const context = await browser.newContext({viewport: {width: 1280, height: 900}, ...options});
	const page = await context.newPage();
	const bad = [];
	page.on("console", (message) => ["error", "warning"].includes(message.type()) && bad.push(message.text()));
	page.on("pageerror", (error) => bad.push(String(error.stack || error)));
	page.on("request", (request) => request.url() !== `file://${file}` && bad.push(`asked for ${request.url()}`));
	await page.goto(`file://${file}`);
	await page.waitForSelector("html[data-ready=yes]", {timeout: 20000});
	return {page, bad, close: () => context.close()};
}

// Text whose contrast with what is behind it is below what WCAG 2 AA asks for, computed from
// the styles of each element that has text of its own.
export function lowContrast(page) {
	return page.evaluate(() => {
		const parse = (colour) => {
			const canvas = document.createElement("canvas");
			canvas.width = canvas.height = 1;
			const context = canvas.getContext("2d", {willReadFrequently: true});
			context.fillStyle = colour;
			context.fillRect(0, 0, 1, 1);
			return [...context.getImageData(0, 0, 1, 1).data];
		};
		const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
			.map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
			.reduce((all, c, i) => all + c * [0.2126, 0.7152, 0.0722][i], 0);
		const behind = (node) => {
			for (let at = node; at; at = at.parentElement) {
				const frame = at.closest && at.tagName === "DIV" && at.closest("g.frame");
				if (frame) return parse(getComputedStyle(frame.querySelector("rect")).fill);
				const colour = parse(getComputedStyle(at).backgroundColor);
				if (colour[3] === 255) return colour;
			}
			return [255, 255, 255, 255];
		};
		const bad = [];
		const cache = new Map();
		for (const node of document.querySelectorAll("body *")) {
			const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
			const style = getComputedStyle(node);
			if (!own || !node.getClientRects().length || style.visibility === "hidden" || node.closest(":disabled") || node.tagName === "OPTION") continue;
			const back = behind(node);
			const key = `${style.color} ${back}`;
			if (!cache.has(key)) {
				const [a, b] = [luminance(parse(style.color)), luminance(back)];
				cache.set(key, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
			}
			if (cache.get(key) < 4.5) bad.push(`${node.tagName} ${node.className} "${node.textContent.trim().slice(0, 30)}": ${cache.get(key).toFixed(2)}`);
		}
		return [...new Set(bad)];
	});
}
