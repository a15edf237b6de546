// SPDX-License-Identifier: MIT
// Flame graphs. d3-flame-graph draws; what is in the tree, what is zoomed to and what the
// keys do is decided here, so that only as many frames are made as can be seen.

const FRAME_HEIGHT = 20;
const FRAMES_MOST = 1500;

const flame = {
	cost: null, // its name
	tree: null, // {parent, fn, total, self, children}
	focus: 0, // a node of that tree
	found: null, // by node: is it what was looked for?
	term: "",
	inverted: false,
	byThread: false,
	chart: null,
	width: 0,
};

// ---- trees with values ----

function growTree(parent, fn, self) {
	const total = Float64Array.from(self);
	for (let i = parent.length - 1; i > 0; i--) total[parent[i]] += total[i];
	return {parent, fn, self, total, children: null};
}

// As stacks were called: outermost first.
function callTree(value) {
	const self = new Float64Array(tree.parent.length);
	for (let s = 0; s < stackCount; s++) self[tree.stackNode[s]] += value[s];
	return growTree(tree.parent, tree.fn, self);
}

// Innermost first: who called it, and who that.
function invertedTree(value) {
	const parent = [0], fn = [0], self = [0];
	const byKey = new Map();
	for (let s = 0; s < stackCount; s++) {
		if (value[s] === 0) continue;
		let at = 0;
		for (let n = tree.stackNode[s]; n !== 0; n = tree.parent[n]) {
			const key = at * 4294967296 + tree.fn[n];
			let next = byKey.get(key);
			if (next === undefined) {
				next = parent.length;
				byKey.set(key, next);
				parent.push(at);
				fn.push(tree.fn[n]);
				self.push(0);
			}
			at = next;
		}
		self[at] += value[s];
	}
	return growTree(parent, fn, self);
}

// Each thread's stacks below it.
function threadTree(threads) {
	const parent = [0], fn = [0], self = [0];
	for (const [thread, value] of threads) {
		const one = flame.inverted ? invertedTree(value) : callTree(value);
		const to = new Int32Array(one.parent.length);
		to[0] = parent.length;
		parent.push(0);
		fn.push(threadFn(thread));
		self.push(one.self[0]);
		for (let i = 1; i < to.length; i++) {
			if (one.total[i] === 0) continue;
			to[i] = parent.length;
			parent.push(to[one.parent[i]]);
			fn.push(one.fn[i]);
			self.push(one.self[i]);
		}
	}
	return growTree(parent, fn, self);
}

const fnOfThread = new Map();

// A thread as if it were a function.
function threadFn(thread) {
	if (!fnOfThread.has(thread)) {
		fnOfThread.set(thread, fnName.length);
		fnName.push(thread < 0 ? "(other threads)" : threadText(thread));
		fnModule.push("");
	}
	return fnOfThread.get(thread);
}

// Children of each node, those with most first.
function listChildren(t) {
	if (t.children) return t.children;
	t.children = Array.from({length: t.parent.length}, () => null);
	for (let i = 1; i < t.parent.length; i++) {
		if (t.total[i] === 0) continue;
		const p = t.parent[i];
		if (t.children[p] === null) t.children[p] = [];
		t.children[p].push(i);
	}
	for (const list of t.children) if (list) list.sort((a, b) => t.total[b] - t.total[a] || a - b);
	return t.children;
}

// ---- what is drawn ----

function datum(t, i, value, faded) {
	return {
		name: fnName[t.fn[i]],
		module: fnModule[t.fn[i]],
		node: i,
		value,
		total: t.total[i],
		self: t.self[i],
		fade: faded,
		match: flame.found !== null && flame.found[i] === 1,
		children: [],
	};
}

// The node that is zoomed to with all that is wide enough below it, in its callers.
function visibleTree(t, focus, width) {
	const children = listChildren(t);
	let least = t.total[focus] / Math.max(width, 1);
	let root, made;
	do {
		made = 0;
		root = datum(t, focus, t.total[focus], false);
		const open = [[root, focus]];
		while (open.length && made <= FRAMES_MOST) {
			const [at, i] = open.pop();
			for (const child of children[i] || []) {
				if (t.total[child] < least) break; // the rest is narrower still
				const next = datum(t, child, t.total[child], false);
				at.children.push(next);
				open.push([next, child]);
				made++;
			}
		}
		least *= 2;
	} while (made > FRAMES_MOST);
	for (let i = focus; i !== 0; i = t.parent[i]) {
		const above = datum(t, t.parent[i], root.value, true);
		above.children.push(root);
		root = above;
	}
	return root;
}

// ---- colours: a hue for each module, so that who is who is seen at a glance ----

const hueByModule = new Map();

function hueOf(module) {
	if (!hueByModule.has(module)) {
		let hash = 7;
		for (const c of baseName(module)) hash = (hash * 31 + c.codePointAt(0)) >>> 0;
		hueByModule.set(module, hash % 360);
	}
	return hueByModule.get(module);
}

function frameColour(d) {
	const dark = isDark();
	if (d.data.match) return dark ? "hsl(45 90% 55%)" : "hsl(45 100% 62%)";
	if (d.data.node === 0 || d.data.module === "") return dark ? "hsl(215 8% 32%)" : "hsl(215 12% 87%)";
	const hue = hueOf(d.data.module), shade = hashShade(d.data.name);
	if (flame.found !== null) return dark ? `hsl(${hue} 12% ${24 + shade}%)` : `hsl(${hue} 14% ${90 - shade}%)`;
	return isOwn({module: d.data.module})
		? dark ? `hsl(${hue} 38% ${30 + shade}%)` : `hsl(${hue} 68% ${80 - shade}%)`
		: dark ? `hsl(${hue} 10% ${28 + shade}%)` : `hsl(${hue} 14% ${86 - shade}%)`;
}

function hashShade(name) {
	let hash = 0;
	for (let i = 0; i < name.length; i++) hash = (hash * 33 + name.charCodeAt(i)) >>> 0;
	return hash % 7;
}

// ---- words ----

function frameSays(d) {
	const cost = costs.get(flame.cost);
	const {total, self, name, module} = d.data;
	const whole = flame.tree.total[0];
	const own = self > 0 && self < total ? `, itself ${formatValue(self, cost.unit)}` : "";
	return `${name}: ${formatValue(total, cost.unit)} (${formatPercent(total, whole)})${own}${module ? `, ${baseName(module)}` : ""}`;
}

function foundSays(t, cost) {
	if (flame.found === null) return "";
	let value = 0;
	const below = new Uint8Array(t.parent.length);
	const functions = new Set();
	for (let i = 1; i < t.parent.length; i++) {
		below[i] = below[t.parent[i]];
		if (!flame.found[i] || t.total[i] === 0) continue;
		functions.add(t.fn[i]);
		if (!below[i]) value += t.total[i];
		below[i] = 1;
	}
	return functions.size === 0
		? `Nothing is called “${flame.term}”.`
		: `“${flame.term}”: ${formatCounted(functions.size, "function")}, ${formatValue(value, cost.unit)} (${formatPercent(value, t.total[0])}) in and below.`;
}

function keptSays(cost) {
	if (cost.shown_stacks >= cost.stacks) return `${formatCounted(cost.stacks, "stack")}.`;
	return `${formatCount(cost.shown_stacks)} of ${formatCounted(cost.stacks, "stack")}, which make ${formatPercent(cost.shown, cost.total)}; the rest is shown as “other”.`;
}

// ---- drawing ----

function markFound(t) {
	const term = flame.term.toLowerCase();
	if (term === "") {
		flame.found = null;
		return;
	}
	const hit = fnName.map((name, i) => name.toLowerCase().includes(term) || baseName(fnModule[i]).toLowerCase().includes(term));
	flame.found = Uint8Array.from(t.fn, (fn, i) => (i !== 0 && hit[fn] ? 1 : 0));
}

function buildFlame() {
	const byThread = flame.byThread && canSelect();
	const values = byThread ? valuesByThread(flame.cost) : valuesOf(flame.cost);
	flame.tree = byThread ? threadTree(values.threads) : flame.inverted ? invertedTree(values.value) : callTree(values.value);
	flame.says = values.says;
	markFound(flame.tree);
	if (flame.focus >= flame.tree.parent.length || flame.tree.total[flame.focus] === 0) flame.focus = 0;
	drawFlame();
}

function drawFlame() {
	const t = flame.tree, cost = costs.get(flame.cost), holder = byId("graph");
	const width = holder.clientWidth;
	if (width === 0) return;
	if (flame.chart) flame.chart.destroy();
	replace(holder);
	byId("unzoom").disabled = flame.focus === 0;
	byId("flame-says").textContent = [
		`${cost.title}: ${formatValue(t.total[0], cost.unit)}.`, keptSays(cost), flame.says, foundSays(t, cost),
	].filter(Boolean).join(" ");
	if (t.total[0] === 0) {
		holder.append(el("p", {class: "note"}, "Nothing of it in what is selected."));
		flame.chart = null;
		return;
	}
	flame.chart = vendor.flamegraph()
		.width(width)
		.cellHeight(FRAME_HEIGHT)
		.transitionDuration(0)
		.inverted(true)
		.sort(false)
		.title("")
		.setColorMapper((d) => frameColour(d))
		.setLabelHandler(frameSays)
		.setDetailsElement(byId("readout"));
	vendor.select(holder).datum(visibleTree(t, flame.focus, width)).call(flame.chart);
	tendFrames();
}

function allFrames() {
	return vendor.select(byId("graph")).selectAll("g.frame");
}

// What the library does not: a name for who cannot see, keys, and our own zoom.
function tendFrames() {
	const svg = byId("graph").querySelector("svg");
	svg.setAttribute("role", "group");
	svg.setAttribute("aria-label", "Flame graph: arrow keys go from frame to frame, Enter zooms, Escape zooms out");
	svg.setAttribute("height", String(graphDepth() * FRAME_HEIGHT + 4));
	const title = svg.querySelector("text.title");
	if (title) title.remove();
	allFrames()
		.attr("name", null)
		.attr("role", "button")
		.attr("tabindex", (d) => (d.data.node === flame.focus ? 0 : -1))
		.attr("aria-label", frameSays)
		.classed("match", (d) => d.data.match)
		.on("click", (event, d) => zoomFlame(d.data.node))
		.on("keydown", (event, d) => frameKey(event, d))
		.on("focus", (event, d) => { byId("readout").textContent = frameSays(d); });
}

function graphDepth() {
	let depth = 0;
	allFrames().each((d) => { depth = Math.max(depth, d.depth); });
	return depth + 1;
}

function focusFrame(node) {
	allFrames().filter((d) => d.data.node === node).each(function () { this.focus(); });
}

function zoomFlame(node) {
	flame.focus = node;
	drawFlame();
	focusFrame(node);
}

// Where an arrow leads from a frame; undefined: nowhere.
function neighbour(key, d) {
	const siblings = d.parent ? d.parent.children : [d];
	const place = siblings.indexOf(d);
	if (key === "ArrowUp") return d.parent;
	if (key === "ArrowDown") return d.children && d.children[0];
	if (key === "ArrowLeft") return siblings[place - 1];
	if (key === "ArrowRight") return siblings[place + 1];
	return undefined;
}

function frameKey(event, d) {
	if (event.key === "Enter" || event.key === " ") zoomFlame(d.data.node);
	else if (event.key === "Escape") zoomFlame(flame.tree.parent[flame.focus]);
	else if (event.key.startsWith("Arrow")) {
		const next = neighbour(event.key, d);
		if (next) {
			allFrames().attr("tabindex", (other) => (other === next ? 0 : -1));
			focusFrame(next.data.node);
		}
	} else return;
	event.preventDefault();
}

// ---- from elsewhere: a stack's place in the graph ----

function flameNodeOf(stackEnd) {
	if (!flame.inverted) return flame.byThread ? 0 : nodeMerged[stackEnd];
	let at = 0;
	const children = listChildren(flame.tree);
	for (let n = nodeMerged[stackEnd]; n !== 0; n = tree.parent[n]) {
		const next = (children[at] || []).find((child) => flame.tree.fn[child] === tree.fn[n]);
		if (next === undefined) return at;
		at = next;
	}
	return at;
}

// Show a stack's frame in the graph of a cost that it has.
function showInFlame(node, cost) {
	if (cost && cost !== flame.cost) {
		flame.cost = cost;
		byId("cost").value = cost;
	}
	flame.inverted = flame.byThread = false;
	byId("inverted").checked = byId("by-thread").checked = false;
	flame.focus = 0;
	buildFlame();
	flame.focus = flameNodeOf(node);
	if (flame.tree.total[flame.focus] === 0) flame.focus = 0;
	drawFlame();
	byId("flame").scrollIntoView({block: "start"});
	focusFrame(flame.focus);
}

function startFlame() {
	const select = byId("cost");
	byId("flame").hidden = seenCosts.length === 0;
	if (seenCosts.length === 0) return;
	select.append(...seenCosts.map((cost) => el("option", {value: cost.name}, cost.title)));
	flame.cost = seenCosts[0].name;
	select.addEventListener("change", () => {
		flame.cost = select.value;
		buildFlame();
	});
	byId("find").addEventListener("input", debounced(120, () => {
		flame.term = byId("find").value.trim();
		markFound(flame.tree);
		drawFlame();
	}));
	byId("inverted").addEventListener("change", (event) => {
		flame.inverted = event.target.checked;
		flame.focus = 0;
		buildFlame();
	});
	byId("by-thread-label").hidden = !(canSelect() && activity.threads && model.threads.length > 1);
	byId("by-thread").addEventListener("change", (event) => {
		flame.byThread = event.target.checked;
		flame.focus = 0;
		buildFlame();
	});
	byId("unzoom").addEventListener("click", () => zoomFlame(0));
	onChange(buildFlame);
	buildFlame();
}
