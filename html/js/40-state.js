// SPDX-License-Identifier: MIT
// What is selected, and who is told.

const state = {
	span: null, // [from, to] in seconds
	thread: null, // a place in page.threads
	process: null, // its number
	thing: null, // {kind, place, title}: a file or a connection
};

const listeners = [];

function onChange(run) {
	listeners.push(run);
}

function change(what) {
	Object.assign(state, what);
	if (what.span) state.span = snapped(what.span);
	byId("process").value = state.process === null ? "" : String(state.process);
	for (const run of listeners) run();
}

function isFiltered() {
	return state.span !== null || state.thread !== null || state.process !== null || state.thing !== null;
}

function spanText() {
	const step = 10 ** Math.floor(Math.log10(state.span[1] - state.span[0]) - 2);
	return `${formatInstant(state.span[0], step)} to ${formatInstant(state.span[1], step)}`;
}

function threadText(index) {
	const {tid, name} = page.threads;
	return `thread ${tid[index]}${name[index] ? ` (${visible(name[index])})` : ""}`;
}

function chip(text, clear) {
	return el("span", {class: "chip"}, text,
		el("button", {type: "button", "aria-label": `No longer only ${text}`, onclick: clear}, "×"));
}

function drawChips() {
	const chips = [];
	if (state.span) chips.push(chip(spanText(), () => change({span: null})));
	if (state.thread !== null) chips.push(chip(threadText(state.thread), () => change({thread: null})));
	if (state.process !== null) chips.push(chip(`process ${processNames.get(state.process)}`, () => change({process: null})));
	if (state.thing) chips.push(chip(shortened(visible(state.thing.title), 80), () => change({thing: null})));
	replace(byId("chips"), ...chips);
	byId("filters").hidden = chips.length === 0;
}

onChange(drawChips);
byId("clear").addEventListener("click", () => change({span: null, thread: null, process: null, thing: null}));
