// SPDX-License-Identifier: MIT
// The run, as analyzer/report_html.c wrote it: the report's JSON, in which a stack is a
// number, and `page`: frames, the tree of nodes, and what each stack cost.

const model = JSON.parse(byId("model").textContent);
const page = model.page;
const isTree = model.processes.length > 1;

// A process's images have one number; what it is called, its pid may not tell it from others.
const processNames = new Map();
{
	const hosts = new Set(model.processes.map(({process}) => process.host));
	for (const {process} of model.processes)
		if (!processNames.has(process.number)) processNames.set(process.number, `${process.pid}${hosts.size > 1 && process.host ? ` on ${process.host}` : ""}`);
}

// What the page is about: the run, or a part of it.
const start = (model.window && model.window.from_s) || 0;
const duration = Math.max((model.window && model.window.to_s) || model.process.duration_s || 0, lastInstant(), start + 1e-6);

function lastInstant() {
	const last = (list) => (list && list.length ? list[list.length - 1].at_s : 0);
	return Math.max(
		last(model.memory && model.memory.timeline),
		last(model.io && model.io.timeline),
		last(model.sockets && model.sockets.timeline),
	);
}

// ---- frames and nodes ----

// What a run's stacks are in the model: `page`, or `before` of what it is compared with.
function readStacks(part) {
	const up = part.nodes.up;
	return {
		strings: part.strings.map(visible),
		frames: part.frames,
		nodeFrame: Int32Array.from(part.nodes.frame),
		nodeParent: Int32Array.from(up, (distance, i) => i - distance),
		stackNode: Int32Array.from(part.stacks.node),
		stackTelling: Int32Array.from(part.stacks.telling),
		stackOthers: Int32Array.from(part.stacks.others),
	};
}

const stacks = readStacks(page);
const {strings, frames, nodeFrame, nodeParent, stackNode, stackTelling, stackOthers} = stacks;
const nodeCount = nodeFrame.length;
const stackCount = stackNode.length;

function frameOf(node) {
	const f = nodeFrame[node];
	return {
		function: strings[frames.function[f]],
		file: strings[frames.file[f]],
		module: strings[frames.module[f]],
		line: frames.line[f],
		offset: frames.offset[f],
		inlined: frames.inlined[f] === 1,
		own: frames.own[f] === 1,
	};
}

// "file.c:12", or the module.
function placeOf(frame, full) {
	const cut = full ? (path) => path : baseName;
	if (frame.file && frame.line > 0) return `${cut(frame.file)}:${frame.line}`;
	if (frame.file || !frame.offset || frame.function.includes("+0x")) return cut(frame.file || frame.module);
	return `${cut(frame.module)}+0x${frame.offset.toString(16)}`;
}

// A stack's nodes, innermost first.
function pathOf(node) {
	const path = [];
	for (; node !== 0; node = nodeParent[node]) path.push(node);
	return path;
}

// ---- functions: frames without their lines ----

// The tree again, in which a function is one node whatever line calls on from it, and
// whichever run it is of. Nodes come after their parents.
const tree = {parent: [0], fn: [0], byKey: new Map()};
const fnName = ["all"];
const fnModule = [""];
const fnOwn = [false];
const fnFiles = [new Set()]; // of one name there may be several, static ones
const fnByName = new Map();

function fnOf(name, module, own, renamed) {
	const key = `${name}\0${baseName(module)}`;
	let fn = fnByName.get(key);
	if (fn === undefined && renamed) fn = renamed(name, baseName(module));
	if (fn === undefined) {
		fn = fnName.length;
		fnByName.set(key, fn);
		fnName.push(name);
		fnModule.push(module);
		fnOwn.push(own === 1);
		fnFiles.push(new Set());
	}
	return fn;
}

function treeChild(parent, fn) {
	const key = parent * 4294967296 + fn;
	let at = tree.byKey.get(key);
	if (at === undefined) {
		at = tree.parent.length;
		tree.byKey.set(key, at);
		tree.parent.push(parent);
		tree.fn.push(fn);
	}
	return at;
}

// Two builds may be files of two names: a function of a module that only the run before has
// is the one of that name in a module that only this run has, if there is one such.
function renamedFrom(run) {
	const modules = (of) => new Set(of.frames.module.map((m) => baseName(of.strings[m])));
	const now = modules(stacks), then = modules(run);
	const found = new Map();
	fnName.forEach((name, fn) => {
		if (!then.has(baseName(fnModule[fn]))) found.set(name, found.has(name) ? undefined : fn);
	});
	return (name, module) => (now.has(module) ? undefined : found.get(name));
}

// Where in the tree a run's nodes and stacks are.
function mergeLines(run, renamed) {
	const {strings, stackOthers: others} = run;
	const frameFn = run.frames.function.map((f, i) => {
		const fn = fnOf(strings[f], strings[run.frames.module[i]], run.frames.own[i], renamed);
		if (strings[run.frames.file[i]]) fnFiles[fn].add(baseName(strings[run.frames.file[i]]));
		return fn;
	});
	const nodes = new Int32Array(run.nodeFrame.length);
	for (let n = 1; n < nodes.length; n++) nodes[n] = treeChild(nodes[run.nodeParent[n]], frameFn[run.nodeFrame[n]]);
	return {nodes, stacks: run.stackNode.map((node, i) => {
		if (others[i] > 0) return treeChild(nodes[node], fnOf(`other (${formatCounted(others[i], "stack")})`, ""));
		return node === 0 ? treeChild(0, frameFn[0]) : nodes[node];
	})};
}

const merged = mergeLines(stacks);

// ---- costs ----

function readCosts(list, count) {
	return new Map(list.map((cost) => {
		const value = new Float64Array(count), counted = new Float64Array(count);
		cost.stack.forEach((stack, i) => {
			value[stack] = cost.value[i];
			counted[stack] = cost.count[i];
		});
		return [cost.name, {...cost, value, count: counted}];
	}));
}

const costs = readCosts(page.costs, stackCount);

// What it is compared with; null: nothing.
const before = model.before ? (() => {
	const run = readStacks(model.before);
	return {...model.before, merged: mergeLines(run, renamedFrom(run)), costs: readCosts(model.before.costs, run.stackNode.length)};
})() : null;

function beforeTotal(name) {
	const cost = before && before.costs.get(name);
	return cost ? cost.total : 0;
}

const seenCosts = [...costs.values()].filter((cost) => cost.total > 0 || beforeTotal(cost.name) > 0);

// What is beside a cost's value.
const COUNTED = {
	peak: "block",
	leaked: "block",
	allocated: "allocation",
	temporary: "allocation",
};

function countNoun(cost) {
	return COUNTED[cost.name] || "call";
}
