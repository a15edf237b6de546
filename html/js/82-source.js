// SPDX-License-Identifier: MIT
// Source lines of the functions that cost most, with the cost beside each line. They are in
// the page if the files could be read when it was made.

const sources = page.sources || [];

// Where a frame's line is shown; null: nowhere.
function sourceOf(node) {
	const f = nodeFrame[node], line = frames.line[f];
	return sources.find((s) => s.file === frames.file[f] && line >= s.first && line < s.first + s.lines.length) || null;
}

// What each line of a piece of source costs: of all stacks that go through it, with what
// is called from it; of a recursion once.
function lineCosts(source, value) {
	const total = new Float64Array(nodeCount);
	for (let s = 0; s < stackCount; s++) total[stackNode[s]] += value[s];
	for (let n = nodeCount - 1; n > 0; n--) total[nodeParent[n]] += total[n];
	const end = source.first + source.lines.length;
	const isHere = frames.line.map((line, f) => frames.file[f] === source.file && line >= source.first && line < end);
	const byLine = new Map();
	for (let n = 1; n < nodeCount; n++) {
		const f = nodeFrame[n];
		if (!isHere[f] || total[n] === 0) continue;
		let above = nodeParent[n];
		while (above !== 0 && frames.line[nodeFrame[above]] !== frames.line[f]) above = nodeParent[above];
		if (above === 0 || !isHere[nodeFrame[above]]) byLine.set(frames.line[f], (byLine.get(frames.line[f]) || 0) + total[n]);
	}
	return byLine;
}

function sourceTable(source, marked) {
	const cost = costs.get(flame.cost), byLine = lineCosts(source, valuesOf(flame.cost).value);
	const table = el("div", {class: "scroller code", role: "region", tabindex: "0", "aria-label": `Source of ${strings[source.function]}`},
		el("table", {},
			el("caption", {class: "unseen"}, `${strings[source.file]}, with ${cost.title} by line`),
			el("thead", {class: "unseen"}, el("tr", {}, el("th", {scope: "col"}, cost.title), el("th", {scope: "col"}, "line"), el("th", {scope: "col"}, "source"))),
			el("tbody", {}, ...source.lines.map((text, i) => {
				const line = source.first + i, value = byLine.get(line);
				return el("tr", {class: [value ? "costs" : "", line === marked ? "marked" : ""].join(" ").trim() || null},
					el("td", {class: "number"}, value ? formatValue(value, cost.unit) : ""),
					el("th", {scope: "row"}, String(line)),
					el("td", {class: "text"}, text));
			}))));
	return source.newer ? el("div", {}, el("p", {class: "hint warning"}, "The file is newer than the run: its lines may be others."), table) : table;
}
