// SPDX-License-Identifier: MIT
// Everything that has a time, on one axis. A row is drawn where there is something in it.

const {uPlot} = vendor;

// Evenly spaced samples as steps that go on to the end.
function series(name, list, value, tone) {
	const x = list.map((sample) => sample.at_s);
	const y = list.map(value);
	if (x.length > 0) {
		x.push(Math.max(duration, x[x.length - 1]));
		y.push(y[y.length - 1]);
	}
	return {name, x, y, tone};
}

function timelineRows() {
	const rows = [];
	const of = (section) => (model[section] && model[section].timeline) || [];
	const heap = of("memory"), io = of("io"), net = of("sockets"), use = of("resources"), resident = of("resident");
	rows.push({title: "Heap", unit: "bytes", series: [series("live", heap, (s) => s.live_bytes, "one")]});
	rows.push({title: "Allocating", unit: "bytes/s", series: [series("allocated", heap, (s) => s.allocated_bytes_per_s || 0, "two")]});
	rows.push({title: "RSS", unit: "bytes", series: [series("resident", use.length ? use : resident, (s) => s.rss_bytes, "one")]});
	rows.push({title: "CPU", unit: "percent", series: [series("used", use, (s) => s.cpu_percent, "three")]});
	rows.push({title: "Files", unit: "bytes/s", series: [
		series("read", io, (s) => s.read_bytes_per_s, "two"),
		series("written", io, (s) => s.written_bytes_per_s, "three"),
	]});
	rows.push({title: "Network", unit: "bytes/s", series: [
		series("sent", net, (s) => s.sent_bytes_per_s, "two"),
		series("received", net, (s) => s.received_bytes_per_s, "three"),
	]});
	rows.push(...moreRows());
	for (const row of rows) row.series = row.series.filter((s) => s.y.some((y) => y > 0));
	return rows.filter((row) => row.series.length > 0);
}

// Rows that come from what stacks did.
function moreRows() {
	return [{title: "Waits", unit: "threads", series: waitSeries()}];
}

let plots = [];
let view = [start, duration]; // what the axis shows

// Nothing but plain numbers on the axis of values: a few, with their units.
function valueAxis(unit, top) {
	return {
		size: 80,
		gap: 4,
		space: 22,
		stroke: colour("muted"),
		font: axisFont(),
		grid: {stroke: colour("line"), width: 1},
		ticks: {show: false},
		values: (u, splits) => splits.map((v) => (v === 0 ? "" : formatValue(v, unit))),
		splits: () => [0, top / 2, top],
	};
}

function timeAxis(shown) {
	return {
		show: true,
		size: shown ? 26 : 0,
		gap: 4,
		space: 90,
		stroke: colour("muted"),
		font: axisFont(),
		grid: {stroke: colour("line"), width: 1},
		ticks: {show: shown, stroke: colour("line"), size: 4},
		values: (u, splits, axis, space, step) => (shown ? splits.map((s) => formatInstant(s, step)) : splits.map(() => "")),
	};
}

function axisFont() {
	return `12px ${colour("font")}`;
}

// A row's series over instants that all of them have.
function rowData(row) {
	const x = [...new Set(row.series.flatMap((s) => s.x))].sort((a, b) => a - b);
	return [x, ...row.series.map((s) => {
		let at = -1;
		return x.map((t) => {
			while (at + 1 < s.x.length && s.x[at + 1] <= t) at++;
			return at < 0 ? null : s.y[at];
		});
	})];
}

// What a row's chart is made with; `more` is what is special to where it stands.
function chartOptions(row, holder, {height, axis, range, ...more}) {
	const top = Math.max(...row.series.flatMap((s) => s.y.filter((y) => y !== null)));
	return {
		width: holder.clientWidth || 600,
		height,
		padding: [8, 8, 0, 0],
		legend: {show: false},
		scales: {
			x: {time: false, range},
			y: {range: () => [0, top * 1.12 || 1]},
		},
		axes: [timeAxis(axis), valueAxis(row.unit, top || 1)],
		series: [{}, ...row.series.map((s) => ({
			label: s.name,
			stroke: colour(s.tone),
			fill: `${colour(s.tone)}22`,
			width: 1.5,
			points: {show: false},
			paths: uPlot.paths.stepped({align: 1}),
		}))],
		...more,
	};
}

function drawRow(row, last) {
	const data = rowData(row);
	const holder = el("div", {class: "plot", role: "img", "aria-label": rowSays(row)});
	const readouts = row.series.map(() => el("span", {class: "value"}, ""));
	const label = el("div", {class: "row-label"},
		el("strong", {}, row.title),
		...row.series.map((s, i) => el("span", {class: "key"},
			el("i", {class: `swatch ${s.tone}`}), ` ${s.name} `, readouts[i])));
	byId("rows").append(el("div", {class: "row"}, label, holder));
	const plot = new uPlot(chartOptions(row, holder, {
		height: last ? 96 : 72,
		axis: last,
		range: () => view,
		cursor: {
			sync: {key: "perfhook", setSeries: false},
			drag: {x: true, y: false, setScale: false},
			y: false,
			points: {show: false},
		},
		select: {show: true, over: true},
		hooks: {
			setSelect: [(u) => selected(u)],
			draw: [drawMarks],
			setScale: [(u, key) => key === "x" && plots.length > 0 && showSpan()],
			setCursor: [(u) => {
				const at = u.cursor.idx;
				readouts.forEach((readout, i) => {
					const y = at === null || at === undefined ? null : data[i + 1][at];
					readout.textContent = y === null || y === undefined ? "" : formatValue(y, row.unit);
				});
			}],
		},
	}), data, holder);
	selectByTouch(plot);
	return {plot, holder};
}

// A chart by itself, of all the time there is; to be called when `holder` is in the page.
function drawChart(row, holder) {
	holder.setAttribute("role", "img");
	holder.setAttribute("aria-label", rowSays(row));
	return new uPlot(chartOptions(row, holder, {height: 110, axis: true, range: () => [start, duration], cursor: {show: false}}), rowData(row), holder);
}

// uPlot knows the mouse only: a finger that moves sideways selects as well.
function selectByTouch(plot) {
	let from = null;
	const at = (event) => event.clientX - plot.over.getBoundingClientRect().left;
	const draw = (event) => plot.setSelect({left: Math.min(from, at(event)), width: Math.abs(at(event) - from), top: 0, height: plot.over.clientHeight}, false);
	plot.over.addEventListener("pointerdown", (event) => { from = event.pointerType === "touch" ? at(event) : null; });
	plot.over.addEventListener("pointermove", (event) => { if (from !== null) draw(event); });
	plot.over.addEventListener("pointerup", (event) => {
		if (from === null) return;
		draw(event);
		from = null;
		selected(plot);
	});
	plot.over.addEventListener("pointercancel", () => {
		from = null;
		showSpan();
	});
}

// Where the program, or somebody, marked a moment.
const marks = (model.marks || []).filter((mark) => mark.at_s !== null);

function drawMarks(plot) {
	const {ctx} = plot;
	ctx.save();
	ctx.strokeStyle = colour("four");
	ctx.setLineDash([4, 3]);
	for (const mark of marks) {
		const x = plot.valToPos(mark.at_s, "x", true);
		if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
		ctx.beginPath();
		ctx.moveTo(x, plot.bbox.top);
		ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
		ctx.stroke();
	}
	ctx.restore();
}

// The marks as words: two of them are the ends of a span.
function drawMarkList() {
	byId("marks").hidden = marks.length === 0;
	replace(byId("marks"), el("span", {class: "muted"}, "Marks: "), ...marks.slice(0, 40).map((mark, i) => {
		const next = marks[i + 1];
		return el("button", {type: "button", class: "link", title: "Select from here to the next one",
			onclick: () => change({span: [mark.at_s, next ? next.at_s : duration]})}, `${mark.name} ${formatSeconds(mark.at_s)}`);
	}));
}

function rowSays(row) {
	return `${row.title} over time. ` + row.series.map((s) => {
		const top = Math.max(...s.y);
		return `Highest ${s.name}: ${formatValue(top, row.unit)} at ${formatSeconds(s.x[s.y.indexOf(top)])}.`;
	}).join(" ");
}

let settling = false; // what is drawn as selected is not a selection

// A drag has ended: that is the span. A click is none.
function selected(u) {
	if (settling) return;
	const {left, width} = u.select;
	if (width < 3) {
		if (state.span) change({span: null});
		return;
	}
	const clamp = (s) => Math.min(Math.max(s, start), duration);
	change({span: [clamp(u.posToVal(left, "x")), clamp(u.posToVal(left + width, "x"))]});
}

function showSpan() {
	settling = true;
	for (const {plot} of plots) {
		if (state.span) {
			const left = plot.valToPos(state.span[0], "x"), right = plot.valToPos(state.span[1], "x");
			plot.setSelect({left, width: Math.max(right - left, 1), top: 0, height: plot.over.clientHeight}, false);
		} else {
			plot.setSelect({left: 0, width: 0, top: 0, height: 0}, false);
		}
	}
	settling = false;
	byId("span-from").value = state.span ? Number(state.span[0].toPrecision(6)) : "";
	byId("span-to").value = state.span ? Number(state.span[1].toPrecision(6)) : "";
	byId("span-zoom").disabled = !state.span;
	byId("span-out").disabled = view[0] === start && view[1] === duration;
}

function zoomTime(from, to) {
	view = [from, to];
	for (const {plot} of plots) plot.setScale("x", {min: from, max: to});
}

function drawTimeline() {
	const rows = timelineRows();
	for (const {plot} of plots) plot.destroy();
	replace(byId("rows"));
	plots = [];
	byId("timeline").hidden = rows.length === 0;
	rows.forEach((row, i) => plots.push(drawRow(row, i === rows.length - 1)));
	drawMarkList();
	byId("timeline-hint").textContent = "Drag across to select a span: everything below is then of that span.";
	showSpan();
}

function fitTimeline() {
	for (const {plot, holder} of plots) plot.setSize({width: Math.max(holder.clientWidth, 120), height: plot.height});
	showSpan();
}

function readSeconds(input) {
	const text = input.value.trim().replace(",", ".");
	const value = Number(text);
	return text !== "" && Number.isFinite(value) ? Math.min(Math.max(value, start), duration) : null;
}

byId("span").addEventListener("submit", (event) => {
	event.preventDefault();
	const from = readSeconds(byId("span-from")) ?? start, to = readSeconds(byId("span-to")) ?? duration;
	change({span: from < to ? [from, to] : null});
});
byId("span-zoom").addEventListener("click", () => state.span && zoomTime(...state.span));
byId("span-out").addEventListener("click", () => zoomTime(start, duration));
onChange(showSpan);
