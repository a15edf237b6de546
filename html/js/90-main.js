// SPDX-License-Identifier: MIT
// The beginning, and what the whole page shares: its parts, its theme, its size.

const PARTS = [
	["summary", "Summary"],
	["findings", "Findings"],
	["timeline", "Over time"],
	["flame", "Flame graph"],
	["tables", "Tables"],
];

function drawParts() {
	replace(byId("parts"), ...PARTS.filter(([id]) => !byId(id).hidden).map(([id, title]) =>
		el("li", {}, el("a", {href: `#${id}`}, title))));
}

const THEMES = ["", "light", "dark"];
const THEME_NAMES = {"": "Theme: system", light: "Theme: light", dark: "Theme: dark"};

function setTheme(theme) {
	if (theme) document.documentElement.dataset.theme = theme;
	else delete document.documentElement.dataset.theme;
	byId("theme").textContent = THEME_NAMES[theme];
}

function redraw() {
	drawTimeline();
	if (flame.tree) drawFlame();
}

byId("theme").addEventListener("click", () => {
	setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "") + 1) % THEMES.length]);
	redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

function drawFoot() {
	replace(byId("foot"),
		el("p", {}, `perfhook ${model.perfhook.version}. ${formatCounted(model.trace.events, "event")} in ${formatBytes(model.trace.bytes)}`,
			model.trace.complete ? "." : ", incomplete.",
			" This page is one file and asks for nothing from the network."));
}

function startProcesses() {
	byId("process-picker").hidden = !(isTree && canSelect() && activity.threads);
	byId("process").append(el("option", {value: ""}, "all"), ...[...processNames].map(([number, name]) => {
		const {process} = model.processes.find((row) => row.process.number === number);
		return el("option", {value: String(number)}, `${name} ${baseName(process.executable || "")}`);
	}));
	byId("process").addEventListener("change", (event) =>
		change({process: event.target.value === "" ? null : Number(event.target.value), thread: null}));
}

setTheme("");
startProcesses();
drawHead();
drawCards();
drawWords();
drawFindings();
drawTimeline();
startFlame();
startTables();
drawParts();
drawFoot();

let lastWidth = document.documentElement.clientWidth;
addEventListener("resize", debounced(120, () => {
	if (document.documentElement.clientWidth === lastWidth) return;
	lastWidth = document.documentElement.clientWidth;
	fitTimeline();
	if (flame.tree) drawFlame();
}));
document.documentElement.dataset.ready = "yes";
