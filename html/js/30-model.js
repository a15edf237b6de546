// SPDX-License-Identifier: MIT
// The run, as analyzer/report_html.c wrote it: the report's JSON, in which a stack is a
// number, and `page`: frames, the tree of nodes, and what each stack cost.

const model = JSON.parse(byId("model").textContent);
const page = model.page;
const isTree = model.processes.length > 1;
const duration = Math.max(model.process.duration_s || 0, lastInstant(), 1e-6);

function lastInstant() {
	const last = (list) => (list && list.length ? list[list.length - 1].at_s : 0);
	return Math.max(
		last(model.memory && model.memory.timeline),
		last(model.io && model.io.timeline),
		last(model.sockets && model.sockets.timeline),
	);
}

// ---- frames and nodes ----

const frames = page.frames;
const nodeFrame = Int32Array.from(page.nodes.frame);
const nodeParent = Int32Array.from(page.nodes.up, (up, i) => i - up);
const nodeCount = nodeFrame.length;
const stackNode = Int32Array.from(page.stacks.node);
const stackTelling = Int32Array.from(page.stacks.telling);
const stackOthers = Int32Array.from(page.stacks.others);
const stackCount = stackNode.length;

function frameOf(node) {
	const f = nodeFrame[node];
	return {
		function: page.strings[frames.function[f]],
		file: page.strings[frames.file[f]],
		module: page.strings[frames.module[f]],
		line: frames.line[f],
		inlined: frames.inlined[f] === 1,
	};
}

// "file.c:12", or the module.
function placeOf(frame, full) {
	const cut = full ? (path) => path : baseName;
	if (frame.file && frame.line > 0) return `${cut(frame.file)}:${frame.line}`;
	return cut(frame.file || frame.module);
}

// A stack's nodes, innermost first.
function pathOf(node) {
	const path = [];
	for (; node !== 0; node = nodeParent[node]) path.push(node);
	return path;
}

// ---- functions: frames without their lines ----

// The tree again, in which a function is one node whatever line calls on from it. Its
// nodes come after their parents.
const tree = {parent: [0], fn: [0], stackNode: null};
const fnName = ["all"];
const fnModule = [""];
const nodeMerged = new Int32Array(nodeCount);

(function mergeLines() {
	const fnByKey = new Map();
	const frameFn = new Int32Array(frames.function.length);
	for (let f = 0; f < frameFn.length; f++) {
		const key = frames.function[f] * 4294967296 + frames.module[f];
		if (!fnByKey.has(key)) {
			fnByKey.set(key, fnName.length);
			fnName.push(page.strings[frames.function[f]]);
			fnModule.push(page.strings[frames.module[f]]);
		}
		frameFn[f] = fnByKey.get(key);
	}
	const byKey = new Map();
	const child = (parent, fn) => {
		const key = parent * 4294967296 + fn;
		let at = byKey.get(key);
		if (at === undefined) {
			at = tree.parent.length;
			byKey.set(key, at);
			tree.parent.push(parent);
			tree.fn.push(fn);
		}
		return at;
	};
	for (let n = 1; n < nodeCount; n++) nodeMerged[n] = child(nodeMerged[nodeParent[n]], frameFn[nodeFrame[n]]);
	const otherFn = new Map();
	const named = (name) => {
		if (!otherFn.has(name)) {
			otherFn.set(name, fnName.length);
			fnName.push(name);
			fnModule.push("");
		}
		return otherFn.get(name);
	};
	tree.stackNode = Int32Array.from(stackNode, (node, i) => {
		const at = nodeMerged[node];
		if (stackOthers[i] > 0) return child(at, named(`other (${formatCounted(stackOthers[i], "stack")})`));
		return node === 0 ? child(0, frameFn[0]) : at;
	});
})();

// ---- costs ----

const costs = new Map();
for (const cost of page.costs) {
	const value = new Float64Array(stackCount);
	const count = new Float64Array(stackCount);
	cost.stack.forEach((stack, i) => {
		value[stack] = cost.value[i];
		count[stack] = cost.count[i];
	});
	costs.set(cost.name, {...cost, value, count});
}
const seenCosts = [...costs.values()].filter((cost) => cost.total > 0);

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

