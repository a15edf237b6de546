// SPDX-License-Identifier: MIT
// Tables: each sorts, filters and leads to stacks. Real tables, for who reads by table.

const ROWS_AT_FIRST = 25;
const NAME_MOST = 120; // characters of a row's name; its details have all of it

// A column: {key, label, value(row), text(row), name: left-aligned, minor: not on a phone}.
// A table: {id, title, note, columns, rows(), open(row, button)}.
class Table {
	constructor(spec) {
		this.spec = spec;
		const first = spec.sort && spec.columns.find((c) => c.key === spec.sort.key);
		this.sort = {column: first || spec.columns[1], down: !first};
		this.term = "";
		this.limit = ROWS_AT_FIRST;
		this.body = el("tbody");
		this.head = el("thead");
		this.more = el("button", {type: "button", class: "quiet", onclick: () => this.grow()});
		this.says = el("p", {class: "hint", "aria-live": "polite"});
		this.find = el("input", {type: "search", autocomplete: "off", spellcheck: "false", "aria-label": `Filter ${spec.title.toLowerCase()}`, placeholder: "Filter"});
		this.find.addEventListener("input", debounced(100, () => {
			this.term = this.find.value.trim().toLowerCase();
			this.limit = ROWS_AT_FIRST;
			this.draw();
		}));
		this.panel = el("div", {id: `panel-${spec.id}`, role: "tabpanel", "aria-labelledby": `tab-${spec.id}`, class: "panel", hidden: true},
			el("div", {class: "toolbar"}, this.find, this.says),
			el("div", {class: "scroller", role: "region", tabindex: "0", "aria-label": `Table of ${spec.title.toLowerCase()}`},
				el("table", {}, el("caption", {class: "unseen"}, spec.title), this.head, this.body)),
			this.more);
	}

	grow() {
		this.limit *= 4;
		this.draw();
	}

	chosen() {
		const {columns} = this.spec;
		const {column, down} = this.sort;
		const all = this.spec.rows();
		const rows = this.term === "" ? all : all.filter((row) => columns.some((c) => c.name && c.text(row).toLowerCase().includes(this.term)));
		const sign = down ? -1 : 1;
		// NaN and null are last, either way.
		const compare = (a, b) => {
			const x = column.value(a), y = column.value(b);
			if (typeof x === "string") return sign * (x < y ? -1 : x > y ? 1 : 0);
			const noX = x === null || Number.isNaN(x), noY = y === null || Number.isNaN(y);
			return noX || noY ? noX - noY : sign * (x - y);
		};
		return {all, rows: [...rows].sort(compare)};
	}

	sortBy(column) {
		this.sort = {column, down: this.sort.column === column ? !this.sort.down : !column.name};
		this.draw();
		const button = this.head.querySelector(`[data-key="${column.key}"]`);
		if (button) button.focus();
	}

	drawHead() {
		replace(this.head, el("tr", {}, ...this.spec.columns.map((c) => {
			const sorted = this.sort.column === c;
			return el("th", {scope: "col", class: classOf(c), "aria-sort": sorted ? (this.sort.down ? "descending" : "ascending") : null},
				el("button", {type: "button", "data-key": c.key, title: c.help, onclick: () => this.sortBy(c)}, c.label,
					el("span", {class: "arrow", "aria-hidden": "true"}, sorted ? (this.sort.down ? "▼" : "▲") : "")));
		})));
	}

	drawRow(row) {
		const [first, ...rest] = this.spec.columns;
		const whole = visible(first.text(row)) || "(no name)", text = shortened(whole, NAME_MOST);
		const title = text === whole ? null : whole;
		const name = this.spec.open
			? el("button", {type: "button", class: "link", title, onclick: (event) => this.spec.open(row, event.currentTarget)}, text)
			: el("span", {title}, text);
		return el("tr", {class: this.spec.rowClass ? this.spec.rowClass(row) : null},
			el("th", {scope: "row", class: classOf(first)}, name, first.more ? el("span", {class: "more"}, first.more(row)) : null),
			...rest.map((c) => this.drawCell(c, row)));
	}

	// Some figures have a bar behind them, as long as their part of the greatest.
	drawCell(column, row) {
		const cell = el("td", {class: classOf(column)}, column.text(row));
		if (column.bar) {
			cell.classList.add("bar");
			cell.style.setProperty("--part", `${(100 * column.value(row)) / (column.bar() || 1)}%`);
		}
		return cell;
	}

	draw() {
		const {all, rows} = this.chosen();
		this.drawHead();
		replace(this.body, ...rows.slice(0, this.limit).map((row) => this.drawRow(row)));
		this.says.textContent = [
			this.term === "" ? `${formatCount(rows.length)} ${rows.length === 1 ? "row" : "rows"}.` : `${formatCount(rows.length)} of ${formatCount(all.length)} rows.`,
			this.spec.note ? this.spec.note() : "",
		].join(" ");
		this.more.hidden = rows.length <= this.limit;
		this.more.textContent = `Show more (${formatCount(rows.length - this.limit)} left)`;
	}
}

function classOf(column) {
	return [column.name ? "name" : "number", column.minor ? "minor" : ""].join(" ").trim();
}

function number(key, label, value, format, more) {
	return {key, label, value, text: (row) => {
		const v = value(row);
		return v === null || v === undefined || Number.isNaN(v) ? "-" : format(v);
	}, ...more};
}

function word(key, label, value, more) {
	return {key, label, name: true, value: (row) => value(row) || "", text: (row) => value(row) || "", ...more};
}

// ---- the tables ----

function stackTitle(node) {
	const path = pathOf(node);
	const own = path.find((n) => frameOf(n).own);
	return own === undefined && path.length === 0 ? "(no stack)" : frameOf(own || path[0]).function;
}

// Where that is, and by way of what: allocators of one's own are not telling.
function stackPlace(node) {
	const path = pathOf(node);
	if (path.length === 0) return "";
	const at = Math.max(path.findIndex((n) => frameOf(n).own), 0);
	return [placeOf(frameOf(path[at])), callersOf(path, at)].filter(Boolean).join(", ");
}

const CALLERS = 3, CALLER_MOST = 60;

// A C++ function without its parameters, which stand in the last parentheses.
function withoutParameters(whole) {
	const name = whole.replace(/( const| volatile| &&?| \[[^\]]*\])+$/, "");
	let at = name.length, open = 0;
	if (!name.endsWith(")")) return whole;
	do {
		at--;
		open += name[at] === ")" ? 1 : name[at] === "(" ? -1 : 0;
	} while (open > 0 && at > 0);
	return at > 0 && !name.slice(0, at).endsWith("operator") ? name.slice(0, at) : whole;
}

// And if it is still long without its templates', inner ones first.
function callerName(whole) {
	let name = withoutParameters(whole);
	for (let last = ""; name.length > CALLER_MOST && name !== last;) {
		last = name;
		name = name.replace(/<[^<>]*[^<>…][^<>]*>/g, "‹…›");
	}
	return shortened(name.replace(/‹…›/g, "<…>"), CALLER_MOST);
}

function callersOf(path, at) {
	const names = [];
	for (const n of path.slice(at + 1)) {
		const frame = frameOf(n);
		if (!frame.own || frame.function === "_start") continue;
		const name = callerName(frame.function);
		if (names[names.length - 1] !== name) names.push(name);
		if (names.length > CALLERS) break;
	}
	if (names.length === 0) return "";
	return `called by ${names.slice(0, CALLERS).join(", ")}${names.length > CALLERS ? ", …" : ""}`;
}

// Of what is selected, sums are known; what else is in a row is not.
function selectNote() {
	return isFiltered() && canSelect() ? "Sums are of what is selected." : "";
}

const listNote = (section, key, what) => () => {
	const shown = (model[section] && (key ? model[section][key] : model[section]) || []).length;
	return [selectNote(), shown >= page.rows ? `The ${formatCount(shown)} with most; --top 0 shows all ${what}.` : ""].filter(Boolean).join(" ");
};

// What a leak's stack left of what was allocated in what is selected.
function leakRows() {
	if (!isFiltered() || !canSelect()) return model.leaks;
	const {value, count} = valuesOf("leaked");
	const byNode = new Map();
	for (let s = 0; s < stackCount; s++) if (stackOthers[s] === 0) byNode.set(stackNode[s], s);
	return model.leaks.map((leak) => {
		const s = byNode.get(leak.stack);
		return {...leak, bytes: s === undefined ? 0 : value[s], blocks: s === undefined ? 0 : count[s]};
	}).filter((leak) => leak.blocks > 0);
}

// Of a short run it is not worth saying what it would be in an hour.
function isLong() {
	return duration - start >= 60;
}

function leakTable() {
	return new Table({
		id: "leaks",
		title: "Leaks",
		note: listNote("leaks", null, "stacks"),
		rows: leakRows,
		open: (row, from) => showLeak(row, from),
		rowClass: (row) => (row.suspect ? "suspect" : null),
		columns: [
			word("where", "Allocated by", (row) => stackTitle(row.stack), {more: (row) => stackPlace(row.stack)}),
			number("score", "Score", (row) => (row.suspect ? row.score : -1), (v) => (v < 0 ? "not suspect" : formatCount(v)), {help: "0 to 100; what speaks for a leak"}),
			number("bytes", "Bytes", (row) => row.bytes, formatBytes),
			number("blocks", "Blocks", (row) => row.blocks, formatCount),
			...(model.leaks.some((leak) => leak.reachability) ? [word("reach", "Reachable", (row) => row.reachability || "")] : []),
			...(isLong() && model.leaks.some((leak) => leak.slope_bytes_per_hour > 0) ? [number("slope", "Growth",
				(row) => row.slope_bytes_per_hour, (v) => `${formatBytes(v)}/h`, {minor: true})] : []),
			number("first", "First", (row) => row.first_at_s, formatSeconds, {minor: true}),
			number("last", "Last", (row) => row.last_at_s, formatSeconds, {minor: true}),
			word("why", "Why", (row) => row.why.join("; "), {minor: true}),
		],
	});
}

function siteRows() {
	const names = ["allocated", "peak", "leaked", "temporary"];
	const columns = Object.fromEntries(names.filter((n) => costs.has(n)).map((n) => [n, valuesOf(n)]));
	const rows = [];
	for (let s = 0; s < stackCount; s++) {
		const of = (name, what) => (columns[name] ? columns[name][what][s] : 0);
		if (names.every((name) => of(name, "value") === 0)) continue;
		rows.push({
			stack: s,
			allocated: of("allocated", "value"),
			allocations: of("allocated", "count"),
			peak: of("peak", "value"),
			leaked: of("leaked", "value"),
			temporary: of("temporary", "value"),
		});
	}
	return rows;
}

function siteName(row) {
	const others = stackOthers[row.stack];
	if (others > 0) return `other (${formatCounted(others, "stack")})`;
	return stackNode[row.stack] === 0 ? "(no stack)" : frameOf(stackTelling[row.stack]).function;
}

function sitePlace(row) {
	if (stackOthers[row.stack] > 0 || stackNode[row.stack] === 0) return "";
	const path = pathOf(stackTelling[row.stack]);
	return [placeOf(frameOf(path[0])), callersOf(path, 0)].filter(Boolean).join(", ");
}

function siteTable() {
	const bytes = (key, label, more) => number(key, label, (row) => row[key], formatBytes, more);
	return new Table({
		id: "sites",
		title: "Allocation sites",
		note: () => [selectNote(), keptSays(costs.get("allocated"))].filter(Boolean).join(" "),
		rows: () => siteRows(),
		open: (row, from) => showStack(stackNode[row.stack], siteName(row), from),
		columns: [
			word("where", "Allocated by", siteName, {more: sitePlace}),
			bytes("allocated", "Allocated"),
			number("allocations", "Allocations", (row) => row.allocations, formatCount),
			bytes("peak", "At the peak"),
			bytes("leaked", "Never freed"),
			number("temporary", "Temporary", (row) => row.temporary, formatCount, {minor: true}),
		],
	});
}

function latency(key, label, more) {
	return number(key, label, (row) => (row.latency_us && row.latency_us.count > 0 ? row.latency_us[key] : null), (us) => formatSeconds(us / 1e6), more);
}

function fileRows() {
	if (!isFiltered() || !canSelect()) return model.io.files;
	const by = valuesByThing("files", model.io.files.length);
	return model.io.files.map((file, i) => ({...file, read_bytes: by.in[i], written_bytes: by.out[i], read_calls: by.calls[i],
		write_calls: 0, time_s: by.ns[i] / 1e9, errors: null, latency_us: null, place: i})).filter((file) => file.read_calls > 0);
}

function fileTable() {
	return new Table({
		id: "files",
		title: "Files",
		note: listNote("io", "files", "files"),
		rows: fileRows,
		open: (row, from) => showUse("files", row, row.path, from),
		columns: [
			word("path", "File", (row) => row.path),
			number("read", "Read", (row) => row.read_bytes, formatBytes),
			number("written", "Written", (row) => row.written_bytes, formatBytes),
			number("calls", "Calls", (row) => row.read_calls + row.write_calls, formatCount),
			number("time", "Time", (row) => row.time_s, formatSeconds),
			latency("p50", "p50", {minor: true}),
			latency("p99", "p99", {minor: true}),
			latency("max", "Longest", {minor: true}),
			number("errors", "Failed", (row) => row.errors, formatCount, {minor: true}),
		],
	});
}

function connectionName(row) {
	const peer = row.peer_name ? `${row.peer_name} (${row.peer})` : row.peer;
	return [row.local, peer].filter(Boolean).join(row.opened_by === "accept" ? " ← " : " → ") || `fd ${row.fd}`;
}

function connectionRows() {
	const list = model.sockets.connections;
	if (!isFiltered() || !canSelect()) return list;
	const by = valuesByThing("sockets", list.length);
	return list.map((c, i) => ({...c, sent_bytes: by.out[i], received_bytes: by.in[i], send_calls: by.calls[i], receive_calls: 0,
		latency_us: null, place: i})).filter((c) => c.send_calls > 0);
}

function connectionTable() {
	return new Table({
		id: "connections",
		title: "Connections",
		note: listNote("sockets", "connections", "connections"),
		rows: connectionRows,
		open: (row, from) => showUse("sockets", row, connectionName(row), from),
		columns: [
			word("name", "Connection", connectionName, {more: (row) => [row.family, row.type, row.opened_by].filter(Boolean).join(" ")}),
			number("sent", "Sent", (row) => row.sent_bytes, formatBytes),
			number("received", "Received", (row) => row.received_bytes, formatBytes),
			number("calls", "Calls", (row) => row.send_calls + row.receive_calls, formatCount),
			number("opened", "Opened", (row) => row.opened_at_s, formatSeconds),
			number("closed", "Closed", (row) => row.closed_at_s, formatSeconds, {minor: true}),
			latency("p50", "p50", {minor: true}),
			latency("p99", "p99", {minor: true}),
			latency("max", "Longest", {minor: true}),
		],
	});
}

function threadRows() {
	const rows = model.threads.map((thread, place) => ({...thread, place}));
	if (!isFiltered() || !canSelect()) return rows;
	const by = sumsByThread(), chosen = chosenThreads();
	return rows.map((row, i) => ({...row, running_s: null, reading_s: by.files[i], writing_s: 0, network_s: by.network[i],
		waiting_s: by.waiting[i], sleeping_s: by.sleeping[i], allocated_bytes: by.allocated[i], read_bytes: by.moved[i], written_bytes: 0}))
		.filter((row, i) => !chosen || chosen[i]);
}

function threadTable() {
	const time = (key, label, more) => number(key, label, (row) => row[key], formatSeconds, more);
	return new Table({
		id: "threads",
		title: "Threads",
		note: listNote("threads", null, "threads"),
		rows: threadRows,
		open: canSelect() && activity.threads ? (row) => change({thread: row.place}) : null,
		columns: [
			word("name", "Thread", (row) => row.name || "(no name)", {more: (row) => (isTree ? `${row.tid} of ${processNames.get(page.threads.process[row.place]) || row.pid}` : String(row.tid))}),
			time("running_s", "Running"),
			number("io", "Files", (row) => nullSum(row.reading_s, row.writing_s), formatSeconds),
			time("network_s", "Network"),
			time("waiting_s", "Waiting"),
			time("sleeping_s", "Sleeping"),
			number("allocated", "Allocated", (row) => row.allocated_bytes, formatBytes),
			number("moved", "Read and written", (row) => nullSum(row.read_bytes, row.written_bytes), formatBytes, {minor: true}),
			time("started_at_s", "Began", {minor: true}),
			time("ended_at_s", "Ended", {minor: true}),
		],
	});
}

// ---- functions, of the cost that the graph shows ----

// What each function has, itself and with all below it; of a recursion once.
function functionSums(t) {
	const children = listChildren(t), count = fnName.length;
	const self = new Float64Array(count), sides = t.sides.map(() => new Float64Array(count));
	const open = new Int32Array(count);
	const todo = [0];
	while (todo.length) {
		const at = todo.pop();
		if (at < 0) {
			open[t.fn[~at]]--;
			continue;
		}
		const fn = t.fn[at];
		self[fn] += t.sides[0].self[at];
		if (open[fn] === 0) t.sides.forEach((side, k) => { sides[k][fn] += side.total[at]; });
		open[fn]++;
		todo.push(~at, ...(children[at] || []));
	}
	return {self, sides};
}

function functionRows() {
	const {self, sides} = functionSums(flame.tree);
	const rows = [];
	for (let fn = 1; fn < fnName.length; fn++)
		if (sides.some((side) => side[fn] > 0)) rows.push({fn, self: self[fn], total: sides[0][fn], before: sides.length > 1 ? sides[1][fn] : null});
	return rows;
}

// The unit is the cost's, which changes.
function ofCost(key, label, value, more) {
	return number(key, label, value, (v) => formatValue(v, costs.get(flame.cost).unit), more);
}

function functionTable() {
	const whole = () => flame.tree.sides[0].total[0];
	const columns = [
		word("name", "Function", (row) => fnName[row.fn], {more: (row) => baseName(fnModule[row.fn])}),
		ofCost("total", "With what it calls", (row) => row.total),
		number("share", "Share", (row) => row.total, (v) => formatPercent(v, whole())),
		ofCost("self", "Itself", (row) => row.self),
	];
	if (before) {
		columns.push(ofCost("before", "Before", (row) => row.before));
		columns.push(number("change", "Change", (row) => (row.before === null ? null : row.total - row.before),
			(v) => `${v < 0 ? "−" : v > 0 ? "+" : ""}${formatValue(Math.abs(v), costs.get(flame.cost).unit)}`));
	}
	const table = new Table({
		id: "functions",
		title: "Functions",
		note: () => `Of ${costs.get(flame.cost).title}, as in the graph.`,
		rows: functionRows,
		open: (row, from) => showFunction(row.fn, from),
		columns,
	});
	flame.watchers.push(() => !table.panel.hidden && table.draw());
	return table;
}

function nullSum(a, b) {
	return a === null || b === null ? null : a + b;
}

function waitRows() {
	if (!isFiltered() || !canSelect()) return model.waits;
	const by = valuesByThing("waits", model.waits.length);
	return model.waits.map((wait, i) => ({...wait, time_s: by.ns[i] / 1e9, count: by.calls[i], latency_us: null}))
		.filter((wait) => wait.time_s > 0 || wait.count > 0);
}

function waitTable() {
	return new Table({
		id: "waits",
		title: "Waits",
		note: listNote("waits", null, "waits"),
		rows: waitRows,
		open: (row, from) => showStack(row.stack, `${row.kind}${row.object ? ` ${row.object}` : ""}`, from),
		columns: [
			word("object", "Waited for", (row) => row.object || row.kind, {more: (row) => row.kind}),
			number("time", "Time", (row) => row.time_s, formatSeconds),
			number("count", "Times", (row) => row.count, formatCount),
			latency("p50", "p50"),
			latency("p99", "p99", {minor: true}),
			latency("max", "Longest"),
			word("by", "By", (row) => stackTitle(row.stack), {minor: true}),
		],
	});
}

// Of what is selected, a process's images are one.
function processRows() {
	if (!isFiltered() || !canSelect() || !activity.threads) return model.processes;
	const by = sumsByProcess(), seen = new Set();
	return model.processes.filter(({process}) => by.has(process.number) && !seen.has(process.number) && seen.add(process.number)).map((row) => {
		const sums = by.get(row.process.number);
		return {...row, memory: {peak_bytes: null, live_bytes: null, allocations: sums.allocations}, io: {read_bytes: sums.read, written_bytes: sums.written}};
	});
}

function processTable() {
	const of = (row, section, key) => (row[section] ? row[section][key] : null);
	return new Table({
		id: "processes",
		title: "Processes",
		note: () => [selectNote(), model.processes.length < model.process_count ? `The first of ${formatCount(model.process_count)}.` : "", "Peak and live are without what a fork shares with its parent."].filter(Boolean).join(" "),
		rows: processRows,
		open: canSelect() && activity.threads ? (row) => change({process: row.process.number}) : null,
		columns: [
			word("name", "Process", (row) => commandText(row.process.command || []) || row.process.executable, {more: (row) => processNames.get(row.process.number)}),
			number("peak", "Heap peak", (row) => of(row, "memory", "peak_bytes"), formatBytes),
			number("live", "Live at the end", (row) => of(row, "memory", "live_bytes"), formatBytes),
			number("allocations", "Allocations", (row) => of(row, "memory", "allocations"), formatCount),
			number("read", "Read", (row) => of(row, "io", "read_bytes"), formatBytes),
			number("written", "Written", (row) => of(row, "io", "written_bytes"), formatBytes),
			number("began", "Began", (row) => row.process.started_at_s, formatSeconds, {minor: true}),
			number("ran", "Ran", (row) => row.process.duration_s, formatSeconds, {minor: true}),
			word("end", "End", (row) => (row.process.status === null ? row.process.end : `${row.process.end} ${row.process.status}`), {minor: true}),
		],
	});
}

// ---- how blocks are spread: by size, and by how long they lived ----

function spreadTable(id, title, rows, range, columns) {
	const greatest = (value) => rows.reduce((most, row) => Math.max(most, value(row)), 0);
	return new Table({
		id,
		title,
		rows: () => rows,
		sort: {key: "from"},
		columns: [
			{...word("from", range.label, (row) => range.text(row)), value: (row) => range.from(row)},
			...columns.map((c) => (c.bar ? {...c, bar: () => greatest(c.value)} : c)),
		],
	});
}

// "16 to 31 B": both ends are within.
function sizeRange(from, below) {
	return below === null || below === undefined ? `${formatBytes(from)} and more` : `${formatBytes(from)} to ${formatBytes(below - 1)}`;
}

function sizeTable() {
	return spreadTable("sizes", "Sizes", model.allocation_sizes, {
		label: "Size",
		from: (row) => row.least_bytes,
		text: (row) => sizeRange(row.least_bytes, row.below_bytes),
	}, [
		number("allocations", "Allocations", (row) => row.allocations, formatCount, {bar: true}),
		number("bytes", "Bytes", (row) => row.allocated_bytes, formatBytes, {bar: true}),
		number("temporary", "Temporary", (row) => row.temporary_percent, (p) => `${p.toFixed(1)}%`),
	]);
}

function lifetimeTable() {
	return spreadTable("lifetimes", "Lifetimes", model.lifetimes.by_time, {
		label: "Lived",
		from: (row) => row.least_us,
		text: (row) => (row.below_us === null ? `${formatSeconds(row.least_us / 1e6)} and more` : `${formatSeconds(row.least_us / 1e6)} to ${formatSeconds(row.below_us / 1e6)}`),
	}, [number("blocks", "Blocks freed", (row) => row.blocks, formatCount, {bar: true})]);
}

const tables = new Map();

function openTab(id, focus) {
	for (const [other, {tab, table}] of tables) {
		const chosen = other === id;
		tab.setAttribute("aria-selected", String(chosen));
		tab.tabIndex = chosen ? 0 : -1;
		table.panel.hidden = !chosen;
		if (chosen) table.draw();
	}
	if (focus) tables.get(id).tab.focus();
}

function tabKey(event, id) {
	const ids = [...tables.keys()], at = ids.indexOf(id);
	const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1}[event.key];
	if (to === undefined) return;
	event.preventDefault();
	openTab(ids[(to + ids.length) % ids.length], true);
}

function startTables() {
	const made = [
		model.leaks && model.leaks.length ? leakTable() : null,
		costs.has("allocated") && costs.get("allocated").total > 0 ? siteTable() : null,
		flame.tree ? functionTable() : null,
		model.allocation_sizes && model.allocation_sizes.length ? sizeTable() : null,
		model.lifetimes && model.lifetimes.by_time && model.lifetimes.by_time.length ? lifetimeTable() : null,
		model.io && model.io.files && model.io.files.length ? fileTable() : null,
		model.sockets && model.sockets.connections && model.sockets.connections.length ? connectionTable() : null,
		model.waits && model.waits.length ? waitTable() : null,
		model.threads.length ? threadTable() : null,
		isTree ? processTable() : null,
	].filter(Boolean);
	for (const table of made) {
		const {id, title} = table.spec;
		const tab = el("button", {type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`,
			onclick: () => openTab(id), onkeydown: (event) => tabKey(event, id)}, title);
		tables.set(id, {tab, table});
		byId("tabs").append(tab);
		byId("panels").append(table.panel);
	}
	byId("tables").hidden = made.length === 0;
	if (made.length) openTab(made[0].spec.id);
	onChange(() => {
		for (const {table} of tables.values()) if (!table.panel.hidden) table.draw();
	});
}
