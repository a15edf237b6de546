// SPDX-License-Identifier: MIT
// What stacks did by time, thread and thing (analyzer/activity.h), added up for what is
// selected. Time is cut into slices: a span is some of them.

const activity = page.activity;
const sliceCount = activity ? Math.min(64, Math.max(1, Math.ceil((duration - activity.origin_s) / activity.width_s - 1e-9))) : 0;

// Which sums make a cost: [kind, value, count].
const SOURCES = {
	allocated: [["heap", "allocated", "allocations"]],
	temporary: [["heap", "temporary", "temporary"]],
	leaked: [["heap", "left", "left_blocks"]],
	peak: [["heap", "grown", "grown_blocks"]],
	read: [["files", "in", "calls"]],
	written: [["files", "out", "calls"]],
	sent: [["sockets", "out", "calls"]],
	received: [["sockets", "in", "calls"]],
	time: [["files", "ns", "calls"], ["sockets", "ns", "calls"]],
	waited: [["waits", "ns", "calls"]],
};

function canSelect() {
	return activity !== null && activity !== undefined;
}

// The slices of a span: whole ones.
function slicesOf(span) {
	if (!span) return [0, sliceCount];
	const at = (s) => (s - activity.origin_s) / activity.width_s;
	const first = Math.min(Math.max(Math.floor(at(span[0]) + 1e-6), 0), sliceCount - 1);
	return [first, Math.min(Math.max(Math.ceil(at(span[1]) - 1e-6), first + 1), sliceCount)];
}

// A span in whole slices.
function snapped(span) {
	if (!span || !canSelect()) return span;
	const [first, end] = slicesOf(span);
	if (first === 0 && end === sliceCount) return null;
	return [activity.origin_s + first * activity.width_s, Math.min(activity.origin_s + end * activity.width_s, duration)];
}

// Which threads count; null: all.
function chosenThreads() {
	if (state.thread === null && state.process === null) return null;
	return page.threads.process.map((process, i) =>
		(state.thread === null || i === state.thread) && (state.process === null || process === state.process));
}

// Calls visit(i, slice) for each sum of a kind that is selected.
function eachSelected(kind, visit, [first, end] = slicesOf(state.span)) {
	const sums = activity[kind], threads = chosenThreads();
	const thing = state.thing;
	if (thing && thing.kind !== kind) return;
	for (let i = 0; i < sums.stack.length; i++) {
		const slice = sums.slice[i];
		if (slice < first || slice >= end) continue;
		if (threads && (sums.thread[i] < 0 || !threads[sums.thread[i]])) continue;
		if (thing && sums.thing[i] !== thing.place) continue;
		visit(i, slice);
	}
}

// The slice at whose end most is live, of those selected.
function highestSlice() {
	const [first, end] = slicesOf(state.span);
	const grown = new Float64Array(sliceCount);
	eachSelected("heap", (i, slice) => { grown[slice] += activity.heap.grown[i]; }, [0, end]);
	let live = 0, best = first, most = -1;
	for (let slice = 0; slice < end; slice++) {
		live += grown[slice];
		if (slice >= first && live > most) {
			most = live;
			best = slice;
		}
	}
	return best;
}

// Add up a cost: add(stack, thread, value, count). Returns what is to be said of it.
function addCost(name, add) {
	let span, says = "";
	if (name === "peak") {
		const best = highestSlice();
		span = [0, best + 1];
		says = `This is what was live at ${formatSeconds(Math.min(activity.origin_s + (best + 1) * activity.width_s, duration))}, the highest of what is selected.`;
	} else if (name === "leaked" && state.span) {
		says = "This is what was allocated then and never freed.";
	}
	for (const [kind, value, count] of SOURCES[name]) {
		const sums = activity[kind];
		eachSelected(kind, (i) => add(sums.stack[i], sums.thread[i], sums[value][i], sums[count][i]), span);
	}
	return says;
}

// What each stack cost of what is selected: {value, count, total, says}.
function valuesOf(name) {
	const cost = costs.get(name);
	if (!isFiltered() || !canSelect()) return {value: cost.value, count: cost.count, total: cost.total, says: ""};
	const value = new Float64Array(stackCount), count = new Float64Array(stackCount);
	let total = 0;
	const says = addCost(name, (stack, thread, v, c) => {
		value[stack] += v;
		count[stack] += c;
		total += v;
	});
	return {value, count, total, says};
}

// The same by thread: Map from its place (-1: those not listed) to values by stack.
function valuesByThread(name) {
	const threads = new Map();
	const says = addCost(name, (stack, thread, v) => {
		if (!threads.has(thread)) threads.set(thread, new Float64Array(stackCount));
		threads.get(thread)[stack] += v;
	});
	return {threads, says};
}

// What was done to each thing of a kind, of what is selected.
function valuesByThing(kind, count) {
	const of = (column) => (activity[kind][column] ? new Float64Array(count) : null);
	const by = {in: of("in"), out: of("out"), ns: of("ns"), calls: of("calls")};
	eachSelected(kind, (i) => {
		const thing = activity[kind].thing[i];
		if (thing < 0) return;
		for (const column of Object.keys(by)) if (by[column]) by[column][thing] += activity[kind][column][i];
	});
	return by;
}

// What each thread did of what is selected.
function sumsByThread() {
	const count = page.threads.tid.length;
	const of = () => new Float64Array(count);
	const by = {allocated: of(), moved: of(), files: of(), network: of(), waiting: of(), sleeping: of()};
	const add = (kind, what) => eachSelected(kind, (i) => {
		const thread = activity[kind].thread[i];
		if (thread >= 0) what(activity[kind], i, thread);
	});
	add("heap", (sums, i, thread) => { by.allocated[thread] += sums.allocated[i]; });
	add("files", (sums, i, thread) => {
		by.moved[thread] += sums.in[i] + sums.out[i];
		by.files[thread] += sums.ns[i] / 1e9;
	});
	add("sockets", (sums, i, thread) => { by.network[thread] += sums.ns[i] / 1e9; });
	add("waits", (sums, i, thread) => { (isSleep(sums.thing[i]) ? by.sleeping : by.waiting)[thread] += sums.ns[i] / 1e9; });
	return by;
}

function isSleep(thing) {
	return thing >= 0 && model.waits[thing].kind === "sleep";
}

// What each process did of what is selected, by its number.
function sumsByProcess() {
	const by = new Map();
	const of = (thread) => {
		const process = page.threads.process[thread];
		if (!by.has(process)) by.set(process, {allocations: 0, read: 0, written: 0});
		return by.get(process);
	};
	eachSelected("heap", (i) => { if (activity.heap.thread[i] >= 0) of(activity.heap.thread[i]).allocations += activity.heap.allocations[i]; });
	eachSelected("files", (i) => {
		if (activity.files.thread[i] < 0) return;
		const sums = of(activity.files.thread[i]);
		sums.read += activity.files.in[i];
		sums.written += activity.files.out[i];
	});
	return by;
}

// How many threads waited, on average, in each slice.
function waitSeries() {
	if (!canSelect() || !activity.waits) return [];
	const waiting = new Float64Array(sliceCount), sleeping = new Float64Array(sliceCount);
	activity.waits.stack.forEach((stack, i) => {
		const at = Math.min(activity.waits.slice[i], sliceCount - 1);
		(isSleep(activity.waits.thing[i]) ? sleeping : waiting)[at] += activity.waits.ns[i] / 1e9;
	});
	const samples = (sums) => Array.from(sums, (s, i) => {
		const from = activity.origin_s + i * activity.width_s;
		return {at_s: from, threads: s / Math.max(Math.min(activity.width_s, duration - from), 1e-9)};
	});
	return [
		series("waiting", samples(waiting), (s) => s.threads, "four"),
		series("sleeping", samples(sleeping), (s) => s.threads, "five"),
	];
}

// What a stack did, slice by slice: rows as the timeline has them.
function stackRows(node) {
	if (!canSelect()) return [];
	const mine = new Set();
	for (let s = 0; s < stackCount; s++) if (stackNode[s] === node && stackOthers[s] === 0) mine.add(s);
	const sums = (kind, column) => {
		const by = new Float64Array(sliceCount);
		activity[kind].stack.forEach((stack, i) => { if (mine.has(stack)) by[Math.min(activity[kind].slice[i], sliceCount - 1)] += activity[kind][column][i]; });
		return by;
	};
	const samples = (by) => Array.from(by, (value, i) => ({at_s: activity.origin_s + i * activity.width_s, value}));
	const row = (title, unit, name, by, tone) => ({title, unit, series: [series(name, samples(by), (s) => s.value, tone)]});
	const rate = (by) => by.map((v) => v / activity.width_s);
	let live = 0;
	const held = sums("heap", "grown").map((v) => { live += v; return live; });
	const moved = (kind) => rate(sums(kind, "in").map((v, i) => v + sums(kind, "out")[i]));
	return [
		row("Live at the end of each slice", "bytes", "live", held, "one"),
		row("Allocated", "bytes/s", "allocated", rate(sums("heap", "allocated")), "two"),
		row("Read and written", "bytes/s", "moved", moved("files"), "two"),
		row("Sent and received", "bytes/s", "moved", moved("sockets"), "three"),
		row("Waiting, on average", "threads", "waiting", rate(sums("waits", "ns")).map((v) => v / 1e9), "four"),
	].filter((one) => one.series[0].y.some((y) => y > 0));
}
