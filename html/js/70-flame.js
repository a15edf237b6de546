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
	compare: true, // if there is something to compare with
	chart: null,
	watchers: [], // who is told when the tree is another
};

// ---- trees with values ----

// A tree's nodes with what they have themselves: `sides` are the values of the runs that
// are compared, or the one; a node is as wide as the larger.
function growTree(parent, fn, sides) {
	const add = (self) => {
		const total = Float64Array.from(self);
		for (let i = parent.length - 1; i > 0; i--) total[parent[i]] += total[i];
		return {self, total};
	};
	const grown = sides.map(add);
	if (sides.length === 1) return {parent, fn, ...grown[0], sides: grown, children: null};
	return {parent, fn, ...add(grown[0].self.map((v, i) => Math.max(v, grown[1].self[i]))), sides: grown, children: null};
}

// Values by stack as values by node of the tree.
function byNode(nodeOfStack, value) {
	const self = new Float64Array(tree.parent.length);
	for (let s = 0; s < value.length; s++) self[nodeOfStack[s]] += value[s];
	return self;
}

// As stacks were called: outermost first.
function callTree(sides) {
	return growTree(tree.parent, tree.fn, sides);
}

// Innermost first: who called it, and who that.
function invertedTree(sides) {
	const parent = [0], fn = [0], selves = sides.map(() => [0]);
	const byKey = new Map(), fns = fnName.length; // a tree of millions: keys stay below 2^53
	for (let end = 0; end < tree.parent.length; end++) {
		if (sides.every((side) => side[end] === 0)) continue;
		let at = 0;
		for (let n = end; n !== 0; n = tree.parent[n]) {
			const key = at * fns + tree.fn[n];
			let next = byKey.get(key);
			if (next === undefined) {
				next = parent.length;
				byKey.set(key, next);
				parent.push(at);
				fn.push(tree.fn[n]);
				for (const self of selves) self.push(0);
			}
			at = next;
		}
		sides.forEach((side, k) => { selves[k][at] += side[end]; });
	}
	return growTree(parent, fn, selves.map((self) => Float64Array.from(self)));
}

// Each thread's stacks below it.
function threadTree(threads) {
	const parent = [0], fn = [0], self = [0];
	for (const [thread, value] of threads) {
		const sides = [byNode(merged.stacks, value)];
		const one = flame.inverted ? invertedTree(sides) : callTree(sides);
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
	return growTree(parent, fn, [Float64Array.from(self)]);
}

const fnOfThread = new Map();

// A thread as if it were a function.
function threadFn(thread) {
	if (!fnOfThread.has(thread)) {
		fnOfThread.set(thread, fnName.length);
		fnName.push(thread < 0 ? "(other threads)" : threadText(thread));
		fnModule.push("");
		fnOwn.push(false);
		fnFiles.push(new Set());
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
		own: fnOwn[t.fn[i]],
		node: i,
		value,
		total: t.total[i],
		self: t.self[i],
		fade: faded,
		sides: t.sides.map((side) => side.total[i]),
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

const HUES = [212, 28, 168, 282, 340, 190, 95, 48];
const hueByModule = new Map();

// The program itself comes first, then its libraries as they are met.
function hueOf(module) {
	const name = baseName(module);
	if (hueByModule.size === 0) hueByModule.set(baseName(model.process.executable || ""), 0);
	if (!hueByModule.has(name)) hueByModule.set(name, hueByModule.size);
	return HUES[hueByModule.get(name) % HUES.length];
}

function frameColour(d) {
	const dark = isDark();
	if (d.data.match) return dark ? "hsl(45 90% 55%)" : "hsl(45 100% 62%)";
	if (d.data.sides.length > 1) return changeColour(...d.data.sides, dark);
	if (d.data.node === 0 || d.data.module === "") return dark ? "hsl(215 8% 32%)" : "hsl(215 12% 87%)";
	const hue = hueOf(d.data.module), shade = hashShade(d.data.name);
	if (flame.found !== null) return dark ? `hsl(${hue} 12% ${24 + shade}%)` : `hsl(${hue} 14% ${90 - shade}%)`;
	return d.data.own
		? dark ? `hsl(${hue} 42% ${31 + shade}%)` : `hsl(${hue} 72% ${81 - shade}%)`
		: dark ? `hsl(${hue} 5% ${28 + shade}%)` : `hsl(${hue} 7% ${87 - shade}%)`;
}

// Red is more than before, blue less, grey the same.
function changeColour(after, earlier, dark) {
	const change = (after - earlier) / Math.max(after, earlier, 1);
	const part = Math.abs(change) < 0.005 ? 0 : 0.2 + 0.8 * Math.min(Math.abs(change), 1);
	const hue = change > 0 ? 8 : 212;
	return dark ? `hsl(${hue} ${60 * part}% ${30 + 6 * part}%)` : `hsl(${hue} ${85 * part}% ${90 - 18 * part}%)`;
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
	if (d.data.sides.length > 1) return `${name}: ${changeSays(...d.data.sides, cost.unit)}${module ? `, ${baseName(module)}` : ""}`;
	const own = self > 0 && self < total ? `, itself ${formatValue(self, cost.unit)}` : "";
	return `${name}: ${formatValue(total, cost.unit)} (${formatPercent(total, whole)})${own}${module ? `, ${baseName(module)}` : ""}`;
}

// "1.0 MiB, was 2.0 MiB (-1.0 MiB, -50.0%)".
function changeSays(after, earlier, unit) {
	if (after === earlier) return `${formatValue(after, unit)}, as before`;
	const change = `${after < earlier ? "−" : "+"}${formatValue(Math.abs(after - earlier), unit)}`;
	if (earlier === 0) return `${formatValue(after, unit)}, new`;
	return `${formatValue(after, unit)}, was ${formatValue(earlier, unit)} (${change}, ${after < earlier ? "−" : "+"}${formatPercent(Math.abs(after - earlier), earlier)})`;
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
	const has = (text) => text.toLowerCase().includes(term);
	const hit = fnName.map((name, i) => has(name) || has(baseName(fnModule[i])) || [...fnFiles[i]].some(has));
	flame.found = Uint8Array.from(t.fn, (fn, i) => (i !== 0 && hit[fn] ? 1 : 0));
}

// Is what is shown beside what was before? That is known of the whole run only.
function comparing() {
	return before !== null && flame.compare && !isFiltered() && !(flame.byThread && canSelect());
}

function sidesOf(name, values) {
	const sides = [byNode(merged.stacks, values.value)];
	if (comparing()) {
		const cost = before.costs.get(name);
		sides.push(byNode(before.merged.stacks, cost ? cost.value : []));
	}
	return sides;
}

function buildFlame() {
	if (flame.byThread && canSelect()) {
		const values = valuesByThread(flame.cost);
		flame.tree = threadTree(values.threads);
		flame.says = values.says;
	} else {
		const values = valuesOf(flame.cost), sides = sidesOf(flame.cost, values);
		flame.tree = flame.inverted ? invertedTree(sides) : callTree(sides);
		flame.says = values.says;
	}
	markFound(flame.tree);
	if (flame.focus >= flame.tree.parent.length || flame.tree.total[flame.focus] === 0) flame.focus = 0;
	drawFlame();
	for (const run of flame.watchers) run();
}

function drawFlame() {
	const t = flame.tree, cost = costs.get(flame.cost), holder = byId("graph");
	const width = holder.clientWidth;
	if (width === 0) return;
	if (flame.chart) flame.chart.destroy();
	replace(holder);
	byId("unzoom").disabled = flame.focus === 0;
	byId("about").disabled = flame.focus === 0 || !fnIsCode(t.fn[flame.focus]);
	byId("flame-says").textContent = [
		t.sides.length > 1 ? `${cost.title}: ${changeSays(t.sides[0].total[0], t.sides[1].total[0], cost.unit)}. Red is more than before, blue less.`
			: `${cost.title}: ${formatValue(t.total[0], cost.unit)}.`, keptSays(cost), flame.says, foundSays(t, cost),
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

// Which colour is which module: of the frames that are seen, the widest ones'.
function drawLegend() {
	const widths = new Map();
	allFrames().each((d) => {
		if (d.data.module && d.data.sides.length === 1) widths.set(d.data.module, (widths.get(d.data.module) || 0) + d.x1 - d.x0);
	});
	const modules = [...widths].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([module]) => module);
	replace(byId("legend"), ...modules.map((module) => {
		const swatch = el("i", {class: "swatch"});
		swatch.style.background = frameColour({data: {module, name: "", own: ownModules.has(module), sides: [0]}});
		return el("span", {}, swatch, ` ${baseName(module)}`);
	}));
}

const ownModules = new Set();
fnModule.forEach((module, fn) => { if (fnOwn[fn]) ownModules.add(module); });

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
	drawLegend();
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
	if (!flame.inverted) return flame.byThread ? 0 : merged.nodes[stackEnd];
	let at = 0;
	const children = listChildren(flame.tree);
	for (let n = merged.nodes[stackEnd]; n !== 0; n = tree.parent[n]) {
		const next = (children[at] || []).find((child) => flame.tree.fn[child] === tree.fn[n]);
		if (next === undefined) return at;
		at = next;
	}
	return at;
}

// Is it a function, and not a thread or what was left out?
function fnIsCode(fn) {
	return fn !== 0 && fnByName.get(`${fnName[fn]}\0${baseName(fnModule[fn])}`) === fn && !fnName[fn].startsWith("other (");
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

// Mark a function in the graph.
function findInFlame(name) {
	flame.term = byId("find").value = name;
	markFound(flame.tree);
	drawFlame();
	byId("flame").scrollIntoView({block: "start"});
	byId("find").focus({preventScroll: true});
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
	byId("by-thread-label").hidden = !(canSelect() && activity.threads && page.threads.tid.length > 1);
	byId("by-thread").addEventListener("change", (event) => {
		flame.byThread = event.target.checked;
		flame.focus = 0;
		buildFlame();
	});
	byId("compare-label").hidden = before === null;
	byId("compare").addEventListener("change", (event) => {
		flame.compare = event.target.checked;
		buildFlame();
	});
	byId("about").addEventListener("click", (event) => showFunction(flame.tree.fn[flame.focus], event.currentTarget));
	byId("unzoom").addEventListener("click", () => zoomFlame(0));
	onChange(() => {
		byId("compare").disabled = isFiltered();
		buildFlame();
	});
	buildFlame();
}
