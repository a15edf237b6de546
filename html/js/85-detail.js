// SPDX-License-Identifier: MIT
// What a row leads to: its stack, what that cost, its place in the flame graph, its source.

let detailFrom = null; // who gets the focus back

function openDetail(title, from, ...content) {
	detailFrom = from;
	byId("detail-title").textContent = visible(title);
	replace(byId("detail-body"), ...content);
	byId("detail").hidden = false;
	document.body.classList.add("with-detail");
	const charts = byId("detail-body").querySelector(".over-time");
	if (charts) charts.open = true;
	byId("detail-title").focus();
}

function closeDetail() {
	byId("detail").hidden = true;
	document.body.classList.remove("with-detail");
	if (detailFrom && detailFrom.isConnected) detailFrom.focus();
}

byId("detail-close").addEventListener("click", closeDetail);
document.addEventListener("keydown", (event) => {
	const at = document.activeElement; // the body: after a click on text
	if (event.key === "Escape" && !byId("detail").hidden && (at === document.body || byId("detail").contains(at))) closeDetail();
});

// What a stack cost, and where to see it.
function costList(node) {
	const stacks = [];
	for (let s = 0; s < stackCount; s++) if (stackNode[s] === node && stackOthers[s] === 0) stacks.push(s);
	const rows = [];
	for (const cost of seenCosts) {
		const {value, count} = valuesOf(cost.name);
		const v = stacks.reduce((all, s) => all + value[s], 0), c = stacks.reduce((all, s) => all + count[s], 0);
		if (v === 0) continue;
		rows.push(el("tr", {},
			el("th", {scope: "row", class: "name"}, cost.title),
			el("td", {class: "number"}, formatValue(v, cost.unit)),
			el("td", {class: "number"}, cost.unit === "allocations" ? "" : formatCounted(c, countNoun(cost))),
			el("td", {}, el("button", {type: "button", class: "link", "aria-label": `Show in the flame graph of ${cost.title}`, onclick: () => showInFlame(node, cost.name)}, "graph"))));
	}
	return rows.length === 0 ? null : el("table", {class: "plain"}, el("caption", {class: "unseen"}, "What this stack cost"), el("tbody", {}, ...rows));
}

// A frame; where its source is there, it opens to that.
function frameItem(node) {
	const frame = frameOf(node), source = sourceOf(node);
	const name = [el("span", {class: "fn"}, frame.function, frame.inlined ? el("span", {class: "muted"}, " inlined") : null),
		el("span", {class: "place"}, placeOf(frame, true))];
	if (!source) return el("li", {class: frame.own ? "own" : "runtime"}, ...name);
	const details = el("details", {}, el("summary", {}, ...name));
	details.addEventListener("toggle", () => {
		if (details.open && details.childElementCount === 1) details.append(sourceTable(source, frame.line));
	});
	return el("li", {class: frame.own ? "own" : "runtime"}, details);
}

function stackList(node) {
	const path = pathOf(node);
	if (path.length === 0) return el("p", {class: "note"}, "No stack was recorded.");
	const list = el("ol", {class: "stack"}, ...path.map(frameItem));
	const first = list.querySelector("details");
	if (first) first.open = true;
	return list;
}

// What the stack did over time: drawn once it is in the page, and seen.
function stackCharts(node) {
	const rows = stackRows(node);
	if (rows.length === 0) return null;
	const details = el("details", {class: "over-time"}, el("summary", {}, "Over time"));
	details.addEventListener("toggle", () => {
		if (!details.open || details.childElementCount > 1) return;
		for (const row of rows) {
			const holder = el("div", {class: "plot"});
			details.append(el("h4", {}, row.title), holder);
			drawChart(row, holder);
		}
	});
	return details;
}

function stackParts(node) {
	return [
		costList(node),
		stackCharts(node),
		el("h3", {}, "Stack"),
		stackList(node),
	];
}

function showStack(node, title, from) {
	openDetail(title, from, ...stackParts(node));
}

function showLeak(leak, from) {
	openDetail(stackTitle(leak.stack), from,
		el("p", {}, el("strong", {}, formatBytes(leak.bytes)), ` in ${formatCounted(leak.blocks, "block")}, `,
			leak.suspect ? el("span", {class: "warning"}, `suspect, score ${leak.score}`) : "not suspect"),
		leak.reachability ? el("p", {}, `Reachability: ${leak.reachability}.`) : null,
		leak.suppressed_by ? el("p", {class: "muted"}, `Suppressed by ${leak.suppressed_by}.`) : null,
		el("ul", {class: "why"}, ...leak.why.map((why) => el("li", {}, why))),
		leak.clues && leak.clues.length ? el("p", {class: "clues"}, el("span", {class: "muted"}, "Score: "),
			leak.clues.map((clue) => `${clue.name} ${clue.points < 0 ? "−" : "+"}${Math.abs(clue.points)}`).join(", ")) : null,
		isLong() && leak.slope_bytes_per_hour > 0 ? el("p", {}, `Grows by ${formatBytes(leak.slope_bytes_per_hour)} an hour`,
			leak.projected_bytes_per_day ? `, ${formatBytes(leak.projected_bytes_per_day)} a day.` : ".") : null,
		...stackParts(leak.stack));
}

// A file or a connection: who used it.
function showUse(kind, row, title, from) {
	const uses = row.stacks || [];
	const list = kind === "files" ? model.io.files : model.sockets.connections;
	const place = row.place ?? list.indexOf(row);
	const only = canSelect() && activity.things && (!state.thing || state.thing.place !== place)
		? el("p", {}, el("button", {type: "button", onclick: () => {
			closeDetail();
			change({thing: {kind, place, title}});
		}}, kind === "files" ? "Only this file" : "Only this connection"))
		: null;
	openDetail(title, from, only,
		el("h3", {}, "By stack, most time first"),
		uses.length === 0 ? el("p", {class: "note"}, "No calls were recorded.") : null,
		...uses.map((use) => el("details", {class: "use", open: use === uses[0]},
			el("summary", {}, `${use.function}: ${formatCounted(use.calls, "call")}, ${formatBytes(use.bytes)}, ${formatSeconds(use.time_s)}`),
			el("p", {class: "hint"}, `All that this stack did, on ${kind === "files" ? "any file" : "any connection"}:`),
			...stackParts(use.stack))));
}

// ---- a function: who calls it, what it calls, its source ----

// Values of the functions next to it, above and below.
function neighboursOf(fn) {
	const t = flame.tree, callers = new Map(), callees = new Map();
	const add = (map, key, value) => map.set(key, (map.get(key) || 0) + value);
	for (let n = 1; n < t.parent.length; n++) {
		if (t.total[n] === 0) continue;
		if (t.fn[n] === fn && t.parent[n] !== 0) add(callers, t.fn[t.parent[n]], t.total[n]);
		if (t.fn[t.parent[n]] === fn && t.parent[n] !== 0) add(callees, t.fn[n], t.total[n]);
	}
	return flame.inverted ? {callers: callees, callees: callers} : {callers, callees};
}

function neighbourList(title, map) {
	const cost = costs.get(flame.cost);
	const rows = [...map].sort((a, b) => b[1] - a[1]);
	if (rows.length === 0) return null;
	return el("div", {}, el("h3", {}, title), el("table", {class: "plain"},
		el("caption", {class: "unseen"}, title),
		el("tbody", {}, ...rows.slice(0, 12).map(([fn, value]) => el("tr", {},
			el("th", {scope: "row", class: "name"}, el("button", {type: "button", class: "link", onclick: () => showFunction(fn)}, fnName[fn])),
			el("td", {class: "number"}, formatValue(value, cost.unit)))))));
}

function showFunction(fn, from) {
	const cost = costs.get(flame.cost), {self, sides} = functionSums(flame.tree);
	const {callers, callees} = neighboursOf(fn);
	const own = sources.filter((s) => strings[s.function] === fnName[fn]);
	openDetail(fnName[fn], from || detailFrom,
		el("p", {class: "muted"}, fnModule[fn]),
		el("p", {}, `${cost.title}: `, el("strong", {}, sides.length > 1 ? changeSays(sides[0][fn], sides[1][fn], cost.unit) : formatValue(sides[0][fn], cost.unit)),
			`, itself ${formatValue(self[fn], cost.unit)}. `,
			el("button", {type: "button", class: "link", onclick: () => {
				closeDetail();
				findInFlame(fnName[fn]);
			}}, "Mark it in the graph")),
		...own.map((source) => el("div", {}, el("h3", {}, `${baseName(strings[source.file])}`), sourceTable(source, null))),
		neighbourList("Called by", callers),
		neighbourList("Calls", callees));
}
