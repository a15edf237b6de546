// SPDX-License-Identifier: MIT
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build, launch, lowContrast, makePage, open, perfhook, record, source, work } from "./page.mjs";

let browser, trace, earlier, file, report;

before(async () => {
	trace = record("after", "page", [work]);
	earlier = record("before", "page", [work, "5"]);
	// So that there are findings.
	file = makePage("page.html", trace, "--threshold", "temporary-calls=1000", "--threshold", "tiny-write-calls=100");
	report = JSON.parse(perfhook("report", "--json", trace));
	browser = await launch();
});

after(async () => {
	await browser.close();
	rmSync(work, {recursive: true});
});

// One open page for a test, which must not have complained in the end.
function onPage(name, options, run) {
	it(name, async () => {
		const {page, bad, close} = await open(browser, file, options);
		try {
			await run(page);
			assert.deepEqual(bad, []);
		} finally {
			await close();
		}
	});
}

describe("page", () => {
	onPage("loads without a complaint or a request", {}, async (page) => {
		assert.match(await page.title(), /^page — perfhook report$/);
		assert.ok((await page.locator(".finding").count()) > 1);
		const writes = await page.locator(".finding-what", {hasText: "tiny-writes"}).first().innerText();
		assert.equal(writes.split("/perfhook-page-").length, 2, writes);
		assert.match(await page.locator("#words").innerText(), /exited with status 0/);
		const rows = await page.locator(".row strong").allInnerTexts();
		for (const row of ["Heap", "Allocating", "Files", "Network", "Waits"]) assert.ok(rows.includes(row), `${row} in ${rows}`);
		assert.doesNotMatch(await page.locator("#words").innerText(), /[▁-█]/);
	});

	it("is small", () => {
		assert.ok(source(file).length < 3e6);
	});

	onPage("shows the names in the trace and runs none", {}, async (page) => {
		await page.click("#tab-files");
		const names = await page.locator("#panel-files tbody th").allInnerTexts();
		assert.ok(names.some((name) => name.includes("<img src=x onerror=document.title=1>")));
		await page.click("#tab-threads");
		assert.ok((await page.locator("#panel-threads tbody th").allInnerTexts()).some((name) => name.includes("<i>worker</i>")));
		assert.equal(await page.locator("img").count(), 0);
		assert.match(await page.title(), /perfhook/);
	});

	it("runs no script but its own", async () => {
		const {page, bad, close} = await open(browser, file);
		const ran = await page.evaluate(() => {
			const script = document.createElement("script");
			script.textContent = "window.ran = 1";
			document.body.append(script);
			return window.ran;
		});
		await close();
		assert.equal(ran, undefined);
		assert.match(bad.join(), /Content Security Policy/);
	});

	onPage("says what the report says", {}, async (page) => {
		const cards = await page.locator("#cards").innerText();
		assert.match(cards, new RegExp(`${(report.memory.peak_bytes / 1048576).toFixed(1)} MiB`));
		await page.selectOption("#cost", "allocated");
		const total = await page.evaluate(() => document.querySelector("#graph g.frame").getAttribute("aria-label"));
		assert.match(total, new RegExp(`^all: ${(report.memory.allocated_bytes / 1048576).toFixed(1)} MiB \\(100.0%\\)`));
	});
});

describe("flame graph", () => {
	onPage("zooms by click and back", {}, async (page) => {
		await page.selectOption("#cost", "allocated");
		const frame = page.locator("#graph g.frame", {hasText: "scratch"}).first();
		const before = (await frame.boundingBox()).width;
		await frame.click();
		const zoomed = page.locator("#graph g.frame:not(.fade)", {hasText: "scratch"}).first();
		assert.ok((await zoomed.boundingBox()).width > before * 2);
		await page.click("#unzoom");
		// Within a pixel: the outline of a frame counts, and one under the mouse has a wider one.
		assert.ok(Math.abs((await page.locator("#graph g.frame", {hasText: "scratch"}).first().boundingBox()).width - before) < 1);
	});

	onPage("finds", {}, async (page) => {
		await page.fill("#find", "build_index");
		await page.waitForSelector("#graph g.match");
		assert.match(await page.locator("#flame-says").innerText(), /“build_index”: 1 function, 1\.9 MiB \(9[78]\.\d%\)/);
		await page.fill("#find", "PAGE.c");
		await page.waitForFunction(() => /“PAGE.c”: \d+ functions/.test(document.querySelector("#flame-says").textContent));
		await page.fill("#find", "no such thing");
		await page.waitForFunction(() => document.querySelector("#flame-says").textContent.includes("Nothing is called"));
	});

	onPage("can be inverted", {}, async (page) => {
		await page.check("#inverted");
		const below = await page.evaluate(() => [...document.querySelectorAll("#graph g.frame")].map((g) => g.getAttribute("aria-label").split(":")[0]));
		assert.deepEqual(below.slice(0, 4), ["all", "build_index", "remember", "load"]);
	});

	onPage("goes by keys", {}, async (page) => {
		await page.focus("#graph g.frame[tabindex='0']");
		const name = () => page.evaluate(() => document.activeElement.getAttribute("aria-label").split(":")[0]);
		const seen = [await name()];
		for (let i = 0; i < 12 && seen.at(-1) !== "build_index"; i++) {
			await page.keyboard.press("ArrowDown");
			seen.push(await name());
		}
		assert.deepEqual(seen.slice(-2), ["load", "build_index"]);
		await page.keyboard.press("Enter");
		assert.equal(await name(), "build_index");
		assert.equal(await page.isEnabled("#unzoom"), true);
		await page.keyboard.press("Escape");
		assert.equal(await name(), "load");
	});
});

describe("selection", () => {
	const select = async (page, from, to) => {
		await page.fill("#span-from", String(from));
		await page.fill("#span-to", String(to));
		await page.click("#span button[type=submit]");
	};
	const total = (page) => page.evaluate(() => document.querySelector("#graph g.frame")?.getAttribute("aria-label").match(/: (.*) \(100/)[1] ?? "none");

	it("has sums that add up to each cost", () => {
		const model = JSON.parse(source(file).split('id="model">')[1].split("</script>")[0]);
		const {activity, costs} = model.page;
		const sources = {allocated: "heap allocated", temporary: "heap temporary", leaked: "heap left", read: "files in",
			written: "files out", sent: "sockets out", received: "sockets in", waited: "waits ns"};
		let checked = 0;
		for (const cost of costs) {
			if (!(cost.name in sources)) continue;
			const [kind, column] = sources[cost.name].split(" ");
			const byStack = new Map();
			activity[kind].stack.forEach((stack, i) => byStack.set(stack, (byStack.get(stack) || 0) + activity[kind][column][i]));
			const close = cost.unit === "nanoseconds" ? 100 : 0;
			cost.stack.forEach((stack, i) => {
				assert.ok(Math.abs(byStack.get(stack) - cost.value[i]) <= close, `${cost.name} of stack ${stack}`);
				checked++;
			});
		}
		assert.ok(checked > 15);
	});

	onPage("of a span changes the graph and the tables", {}, async (page) => {
		await page.selectOption("#cost", "allocated");
		await page.click("#tab-sites");
		const rows = () => page.locator("#panel-sites tbody tr").count();
		const [whole, many] = [await total(page), await rows()];
		// The first phase is some 40 ms of it.
		const until = report.memory.peak_at_s + 0.001;
		await select(page, 0, until);
		assert.notEqual(await total(page), whole);
		assert.ok((await rows()) < many);
		assert.match(await page.locator("#chips").innerText(), /^0 s to \d/);
		await page.click("#tab-files");
		assert.equal(await page.locator("#panel-files tbody tr").count(), 0);
		await select(page, until, 1e9);
		assert.ok((await page.locator("#panel-files tbody tr").count()) >= 3);
		await page.click("#clear");
		assert.equal(await total(page), whole);
		assert.equal(await page.isVisible("#filters"), false);
	});

	onPage("by a drag across the timeline", {}, async (page) => {
		await page.locator("#rows").scrollIntoViewIfNeeded();
		const box = await page.locator(".u-over").first().boundingBox();
		await page.mouse.move(box.x + box.width * 0.1, box.y + 20);
		await page.mouse.down();
		await page.mouse.move(box.x + box.width * 0.3, box.y + 20, {steps: 4});
		await page.mouse.up();
		assert.equal(await page.isVisible("#filters"), true);
		const drawn = await page.locator(".u-select").last().boundingBox();
		assert.ok(drawn.width > box.width * 0.15 && drawn.width < box.width * 0.3, `${drawn.width} of ${box.width}`);
		await page.click("#span-zoom");
		assert.ok((await page.locator(".u-select").first().boundingBox()).width > box.width * 0.9);
		await page.click("#span-out");
		await page.click("#clear");
	});

	onPage("by a finger, that may also scroll", {viewport: {width: 390, height: 844}, hasTouch: true, isMobile: true}, async (page) => {
		await page.evaluate(() => {
			document.documentElement.style.scrollBehavior = "auto";
			document.querySelector("#rows").scrollIntoView({block: "center"});
		});
		const devtools = await page.context().newCDPSession(page);
		const touch = (type, ...touchPoints) => devtools.send("Input.dispatchTouchEvent", {type, touchPoints});
		const swipe = async (from, to) => {
			await touch("touchStart", from);
			for (let i = 1; i <= 8; i++) await touch("touchMove", {x: from.x + ((to.x - from.x) * i) / 8, y: from.y + ((to.y - from.y) * i) / 8});
			await touch("touchEnd");
		};
		const box = await page.locator(".u-over").first().boundingBox();
		const at = (part, down) => ({x: box.x + box.width * part, y: box.y + down});
		await swipe(at(0.2, 20), at(0.7, 24));
		await page.waitForSelector("#filters:not([hidden])");
		const drawn = await page.locator(".u-select").last().boundingBox();
		assert.ok(drawn.width > box.width * 0.45 && drawn.width < box.width * 0.6, `${drawn.width} of ${box.width}`);
		const before = await page.evaluate(() => scrollY);
		await swipe(at(0.5, 60), at(0.5, -200));
		await page.waitForFunction((y) => scrollY > y + 50, before);
		assert.equal(await page.isVisible("#filters"), true);
	});

	onPage("of the heap is what was live then", {}, async (page) => {
		await page.selectOption("#cost", "peak");
		await select(page, report.process.duration_s - 0.001, 1e9);
		assert.equal(await total(page), "40.6 KiB");
		assert.match(await page.locator("#flame-says").innerText(), /what was live at/);
	});

	onPage("of a thread or a file", {}, async (page) => {
		await page.selectOption("#cost", "allocated");
		await page.click("#tab-threads");
		await page.click("#panel-threads tbody button >> text=<i>worker</i>");
		assert.equal(await total(page), "293.0 KiB");
		await page.click("#clear");
		await page.selectOption("#cost", "written");
		await page.click("#tab-files");
		await page.click("#panel-files tbody button >> text=records");
		await page.click("#detail >> text=Only this file");
		assert.equal(await total(page), "100.0 KiB");
	});

	onPage("splits a graph by thread", {}, async (page) => {
		await page.selectOption("#cost", "allocated");
		await page.check("#by-thread");
		const names = await page.evaluate(() => [...document.querySelectorAll("#graph g.frame")].map((g) => g.getAttribute("aria-label")));
		assert.equal(names.filter((name) => name.startsWith("thread ")).length, 3);
		assert.equal(names.filter((name) => /^thread \d+ \((worker|<i>worker<\/i>)\): 293\.0 KiB/.test(name)).length, 2);
	});
});

describe("several processes", () => {
	it("can be seen one by one", async () => {
		const {page, bad, close} = await open(browser, makePage("tree.html", trace, earlier));
		const total = () => page.evaluate(() => document.querySelector("#graph g.frame").getAttribute("aria-label"));
		await page.selectOption("#cost", "temporary");
		assert.match(await total(), /^all: 3,0\d\d /);
		await page.click("#tab-processes");
		assert.equal(await page.locator("#panel-processes tbody tr").count(), 2);
		await page.selectOption("#process", {label: `${report.process.pid} page`});
		assert.match(await total(), /^all: 2,0\d\d /);
		assert.equal(await page.locator("#panel-processes tbody tr").count(), 1);
		await page.selectOption("#process", "");
		assert.match(await total(), /^all: 3,0\d\d /);
		assert.deepEqual(bad, []);
		await close();
	});
});

describe("processes of one pid", () => {
	it("are as many as there are", async () => {
		// As in two containers.
		const text = source(makePage("pids.html", trace, earlier)), [head, rest] = text.split('id="model">');
		const at = rest.indexOf("</script>"), model = JSON.parse(rest.slice(0, at));
		model.processes.forEach(({process}, i) => Object.assign(process, {pid: 1, host: `box${i}`}));
		const file = join(work, "pids2.html");
		writeFileSync(file, `${head}id="model">${JSON.stringify(model).replace(/</g, "\\u003c")}${rest.slice(at)}`);
		const {page, bad, close} = await open(browser, file);
		assert.deepEqual(await page.locator("#process option").allInnerTexts(), ["all", "1 on box0 page", "1 on box1 page"]);
		await page.selectOption("#cost", "temporary");
		await page.click("#tab-processes");
		await page.click("#panel-processes tbody tr:has-text('box1') button");
		assert.match(await page.locator("#chips").innerText(), /process 1 on box1/);
		const total = await page.evaluate(() => document.querySelector("#graph g.frame").getAttribute("aria-label"));
		assert.doesNotMatch(total, /^all: 3,0/);
		assert.deepEqual(bad, []);
		await close();
	});
});

describe("100,000 stacks", () => {
	it("are a small page that says what it leaves out", async () => {
		const many = makePage("many.html", record("many", "many_stacks", []));
		assert.ok(source(many).length < 3e6);
		const {page, bad, close} = await open(browser, many);
		await page.selectOption("#cost", "allocated");
		assert.match(await page.locator("#flame-says").innerText(), /[\d,]+ of 100,00\d stacks, which make \d\d\.\d%; the rest is shown as “other”/);
		assert.ok((await page.locator("#graph g.frame").count()) > 200);
		assert.match(await page.locator("#graph g.frame").first().getAttribute("aria-label"), /^all: 197\.2 MiB \(100\.0%\)/);
		assert.deepEqual(bad, []);
		await close();
	});
});

describe("what may be there", () => {
	// Sections that need another kind of run: put into a page that is there already.
	const withModel = (name, change) => {
		const text = source(file), [head, rest] = text.split('id="model">');
		const at = rest.indexOf("</script>");
		const model = JSON.parse(rest.slice(0, at));
		change(model);
		const changed = join(work, name);
		writeFileSync(changed, `${head}id="model">${JSON.stringify(model).replace(/</g, "\\u003c")}${rest.slice(at)}`);
		return changed;
	};

	it("marks, that lead to spans", async () => {
		const marked = withModel("marks.html", (model) => {
			model.marks = [{name: "<b>warm", at_s: 0.02, pid: 1}, {name: "done", at_s: 0.06, pid: 1}];
		});
		const {page, bad, close} = await open(browser, marked);
		assert.match(await page.locator("#marks").innerText(), /<b>warm 20\.0 ms\s+done 60\.0 ms/);
		await page.click("#marks >> text=<b>warm");
		assert.match(await page.locator("#chips").innerText(), /^0\.0\d+ s to 0\.06/);
		assert.deepEqual(bad, []);
		await close();
	});

	it("names with what cannot be seen, or turns what is seen", async () => {
		const odd = withModel("odd.html", (model) => {
			model.page.strings = model.page.strings.map((name) => (name === "remember" ? "\u202egnp.exe\nx\u0007" : name));
			model.io.files[0].path = `/tmp/${"long/".repeat(200)}end\u001b[31m`;
			model.process.command.push("a\nb");
		});
		const {page, bad, close} = await open(browser, odd);
		assert.match(await page.locator("h1").innerText(), /a\\nb/);
		await page.click("#panel-leaks tbody button >> nth=0");
		assert.equal(await page.locator("#detail-title").innerText(), "\\u{202e}gnp.exe\\nx\\x07");
		assert.equal(await page.locator("#detail .stack .fn").first().innerText(), "\\u{202e}gnp.exe\\nx\\x07");
		await page.click("#detail-close");
		await page.click("#tab-files");
		const name = page.locator("#panel-files tbody button", {hasText: "end\\x1b[31m"});
		assert.ok((await name.innerText()).length <= 120);
		await name.click();
		assert.ok((await page.locator("#detail-title").innerText()).length > 1000);
		await page.click("#detail >> text=Only this file");
		assert.ok((await page.locator("#chips").innerText()).length < 100);
		assert.deepEqual(bad, []);
		await close();
	});

	it("names of C++ functions, which are long", async () => {
		const text = "std::vector<std::pair<std::string, std::function<void (int)>>, std::allocator<std::pair<std::string, std::function<void (int)>>>>";
		const long = withModel("cxx.html", (model) => {
			model.page.strings = model.page.strings.map((name) => (name === "load" ? `(anonymous namespace)::read(${text} const&) const` : name === "main" ? `take<${text}>::operator()(int)` : name));
		});
		const {page, bad, close} = await open(browser, long);
		assert.match(await page.locator("#panel-leaks tbody th .more").first().innerText(),
			/called by \(anonymous namespace\)::read, take<std::vector<…>>::operator\(\)$/);
		assert.deepEqual(bad, []);
		await close();
	});

	it("resources, as rows of the timeline", async () => {
		const timeline = [0, 0.05, 0.1].map((at_s) => ({at_s, rss_bytes: 1 << 24, cpu_percent: 50 + at_s}));
		const {page, bad, close} = await open(browser, withModel("rows.html", (model) => { model.resources = {timeline}; }));
		assert.deepEqual(await page.locator(".row strong").allInnerTexts(), ["Heap", "Allocating", "RSS", "CPU", "Files", "Network", "Waits"]);
		assert.deepEqual(bad, []);
		await close();
	});

	it("or only little", async () => {
		const little = record("little", "page", [work], {PERFHOOK_EVENTS: "net"});
		const {page, bad, close} = await open(browser, makePage("little.html", little));
		assert.match(await page.locator("#words").innerText(), /not recorded\s+memory, io, wait/);
		assert.deepEqual(await page.locator("[role=tab]").allInnerTexts(), ["Functions", "Connections", "Threads"]);
		assert.deepEqual(await page.locator("#cost option").allInnerTexts(), ["sent over sockets", "received over sockets", "time in reads, writes and their like"]);
		assert.deepEqual(bad, []);
		await close();
	});
});

describe("comparison", () => {
	let compared;

	before(() => {
		compared = makePage("diff.html", trace, "--diff", earlier);
	});

	it("shows what is more and what is less", async () => {
		const {page, bad, close} = await open(browser, compared);
		const frame = (name) => page.evaluate((wanted) => {
			const g = [...document.querySelectorAll("#graph g.frame")].find((one) => one.getAttribute("aria-label").startsWith(`${wanted}:`));
			return {says: g.getAttribute("aria-label"), fill: getComputedStyle(g.querySelector("rect")).fill};
		}, name);
		const redness = ({fill}) => { const [r, , b] = fill.match(/\d+/g).map(Number); return r - b; };
		await page.selectOption("#cost", "allocated");
		const grown = await frame("load");
		assert.match(grown.says, /^load: .* MiB, was .* MiB \(\+.* MiB, \+100\.0%\)/);
		assert.ok(redness(grown) > 20, grown.fill);
		assert.match((await frame("worker")).says, /as before/);
		assert.ok(Math.abs(redness(await frame("worker"))) < 5);
		await page.click("#tab-functions");
		const row = await page.locator("#panel-functions tbody tr", {hasText: "remember"}).allInnerTexts();
		assert.match(row[0], /40\.0 KiB.*20\.0 KiB\s+\+20\.0 KiB/s);
		await page.uncheck("#compare");
		assert.match((await frame("remember")).says, /^remember: 40\.0 KiB \(/);
		assert.deepEqual(bad, []);
		await close();
	});

	it("takes functions of a renamed program for the same", async () => {
		const renamed = join(work, "page-of-then");
		copyFileSync(join(build, "tests/programs/page"), renamed);
		const {page, bad, close} = await open(browser, makePage("renamed.html", trace, "--diff", record("renamed", renamed, [work, "5"])));
		await page.selectOption("#cost", "allocated");
		const loads = await page.evaluate(() => [...document.querySelectorAll("#graph g.frame")]
			.map((one) => one.getAttribute("aria-label")).filter((label) => label.startsWith("load:")));
		assert.equal(loads.length, 1);
		assert.match(loads[0], /\+100\.0%/);
		assert.deepEqual(bad, []);
		await close();
	});

	it("is wanted with --html only", () => {
		assert.throws(() => perfhook("report", trace, "--diff", trace), /--diff goes with --html/);
	});
});

describe("tables", () => {
	onPage("sort both ways", {}, async (page) => {
		await page.click("#tab-sites");
		const column = async () => page.locator("#panel-sites tbody tr td:nth-child(2)").allInnerTexts();
		assert.equal((await column())[0], "1.9 MiB");
		await page.click("#panel-sites [data-key=allocations]");
		assert.equal(await page.getAttribute("#panel-sites th:nth-child(3)", "aria-sort"), "descending");
		assert.equal((await page.locator("#panel-sites tbody tr td:nth-child(3)").first().innerText()), "2,000");
		await page.click("#panel-sites [data-key=allocations]");
		assert.equal(await page.getAttribute("#panel-sites th:nth-child(3)", "aria-sort"), "ascending");
		const counts = (await page.locator("#panel-sites tbody tr td:nth-child(3)").allInnerTexts()).map((text) => Number(text.replace(/,/g, "")));
		assert.deepEqual(counts, [...counts].sort((a, b) => a - b));
	});

	onPage("show how blocks are spread", {}, async (page) => {
		await page.click("#tab-sizes");
		const row = page.locator("#panel-sizes tbody tr", {hasText: "64 B to 127 B"});
		assert.match((await row.innerText()).replace(/\s+/g, " "), /^64 B to 127 B 1,[0-9]{3} /);
		assert.equal(await page.locator("#panel-sizes thead th").first().getAttribute("aria-sort"), "ascending");
		const wide = await page.locator("#panel-sizes td.bar").evaluateAll((cells) => cells.map((cell) => parseFloat(cell.style.getPropertyValue("--part"))));
		assert.equal(Math.max(...wide), 100);
		await page.click("#tab-lifetimes");
		assert.ok((await page.locator("#panel-lifetimes tbody tr").count()) > 1);
	});

	onPage("filter", {}, async (page) => {
		await page.click("#tab-files");
		await page.fill("#panel-files input", "RECORDS");
		await page.waitForFunction(() => document.querySelectorAll("#panel-files tbody tr").length === 1);
		assert.match(await page.locator("#panel-files .hint").innerText(), /^1 of \d+ rows/);
	});

	onPage("lead to a stack and from there to its frame", {}, async (page) => {
		await page.click("#tab-leaks");
		await page.click("#panel-leaks tbody button >> nth=0");
		assert.equal(await page.locator("#detail-title").innerText(), "remember");
		assert.deepEqual((await page.locator("#detail .stack .own .fn").allInnerTexts()).slice(0, 3), ["remember", "load", "main"]);
		assert.equal(await page.locator("#detail .over-time .uplot").count(), 2);
		assert.match(await page.locator("#detail .plot").first().getAttribute("aria-label"), /Highest live: 40\.0 KiB at/);
		assert.match(await page.locator("#detail .why").innerText(), /none of its 10 blocks was ever freed/);
		const line = page.locator("#detail .code tr.costs");
		assert.match((await line.allInnerTexts())[0], /40\.0 KiB\s+\d+\s+return leaked\[i\] = malloc\(4096\);/);
		await page.click("#detail [aria-label='Show in the flame graph of never freed']");
		assert.equal(await page.inputValue("#cost"), "leaked");
		assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /^remember: 40\.0 KiB/);
	});
});

describe("a function", () => {
	onPage("has its callers, what it calls and its source", {}, async (page) => {
		await page.selectOption("#cost", "allocated");
		await page.click("#tab-functions");
		await page.click("#panel-functions tbody button >> text=/^load$/");
		const text = await page.locator("#detail").innerText();
		assert.match(text, /Called by\s+main/);
		assert.match(text, /Calls\s+build_index\s+1\.9 MiB/);
		assert.match(text, /1\.9 MiB\s+\d+\s+parts\[i\] = build_index\(200000\);/);
		await page.click("#detail >> text=Mark it in the graph");
		assert.equal(await page.locator("#graph g.match").count(), 1);
	});
});

describe("who reads it", () => {
	for (const colorScheme of ["light", "dark"]) {
		for (const width of [1280, 390]) {
			onPage(`${colorScheme}, ${width} pixels: contrast and width`, {colorScheme, viewport: {width, height: 800}}, async (page) => {
				const [own, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
				assert.ok(own <= seen, `the page is ${own} pixels wide`);
				for (const tab of await page.locator("[role=tab]").all()) {
					await tab.click();
					assert.deepEqual(await lowContrast(page), []);
					assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
				}
				await page.fill("#find", "load");
				await page.waitForSelector("#graph g.match");
				await page.click("#tab-leaks");
				await page.click("#panel-leaks tbody button >> nth=0");
				assert.deepEqual(await lowContrast(page), []);
				assert.ok(await page.evaluate(() => [...document.querySelectorAll("#detail-body *")].every((node) =>
					node.closest(".scroller table") || node.getBoundingClientRect().right <= document.documentElement.clientWidth)));
				assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
			});

			if ((colorScheme === "light") === (width === 1280)) onPage(`${colorScheme}, ${width} pixels: axe`, {colorScheme, viewport: {width, height: 800}}, async (page) => {
				// The policy would not let it in by a script element.
				await page.evaluate(readFileSync(`${build}/browser/node_modules/axe-core/axe.min.js`, "utf8"));
				for (const part of ["body", "#panel-files", "#panel-threads"]) {
					if (part !== "body") await page.click(part.replace("panel", "tab"));
					const {violations} = await page.evaluate((within) => window.axe.run(within), part);
					assert.deepEqual(violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(" | ")}`), []);
				}
			});
		}
	}

	onPage("reaches everything by keys", {}, async (page) => {
		const reached = new Set();
		for (let i = 0; i < 400; i++) {
			await page.keyboard.press("Tab");
			const id = await page.evaluate(() => {
				const at = document.activeElement;
				return at === document.body ? null : at.id || at.getAttribute("data-key") || (at.closest("[id]") || {id: at.tagName}).id;
			});
			if (id === null) break;
			reached.add(id);
		}
		for (const id of ["theme", "span-from", "span-to", "cost", "find", "inverted", "graph", "tab-leaks", "score", "panel-leaks"])
			assert.ok(reached.has(id), `${id} in ${[...reached]}`);
		await page.focus("#tab-leaks");
		await page.keyboard.press("ArrowRight");
		assert.equal(await page.getAttribute("#tab-sites", "aria-selected"), "true");
		await page.focus("#panel-sites tbody button >> nth=0");
		await page.keyboard.press("Enter");
		assert.equal(await page.isVisible("#detail"), true);
		await page.keyboard.press("Escape");
		assert.equal(await page.isVisible("#detail"), false);
		assert.equal(await page.evaluate(() => document.activeElement.closest("[id]").id), "panel-sites");
		await page.keyboard.press("Enter");
		await page.click("#detail .stack .place >> nth=-1");
		await page.keyboard.press("Escape");
		assert.equal(await page.isVisible("#detail"), false);
	});
});
