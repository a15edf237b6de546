// SPDX-License-Identifier: MIT
// What ran, its figures, and the findings: the text report's words.

// With what it was before, if that is known: `cost` and its value.
function card(label, value, more, target, cost) {
	if (before && cost && before.costs.has(cost)) {
		const unit = before.costs.get(cost).unit, was = beforeTotal(cost);
		more = `was ${formatValue(was, unit)}`;
	}
	return el("a", {class: "card", href: target},
		el("span", {class: "card-label"}, label),
		el("span", {class: "card-value"}, value),
		el("span", {class: "card-more"}, more));
}

function drawCards() {
	const cards = [];
	const {memory, io, sockets} = model;
	if (memory && memory.peak_bytes !== null) {
		cards.push(card("Heap peak", formatBytes(memory.peak_bytes), `at ${formatSeconds(memory.peak_at_s)}`, "#flame", "peak"));
		const suspects = model.leaks.filter((leak) => leak.suspect);
		cards.push(card("Live at the end", formatBytes(memory.live_bytes),
			suspects.length ? `${formatBytes(sum(suspects, "bytes"))} suspect` : "none suspect", "#tables", "leaked"));
		cards.push(card("Allocated", formatBytes(memory.allocated_bytes), formatCounted(memory.allocations, "allocation"), "#flame", "allocated"));
	}
	if (io && io.read_bytes !== null) {
		cards.push(card("Files read", formatBytes(io.read_bytes), formatCounted(io.read_calls, "call"), "#tables", "read"));
		cards.push(card("Files written", formatBytes(io.written_bytes), formatCounted(io.write_calls, "call"), "#tables", "written"));
	}
	if (sockets && sockets.sent_bytes !== null && sockets.sent_bytes + sockets.received_bytes > 0)
		cards.push(card("Network", formatBytes(sockets.sent_bytes + sockets.received_bytes),
			`${formatBytes(sockets.sent_bytes)} sent`, "#tables"));
	const waited = costs.get("waited");
	if (waited && waited.total > 0)
		cards.push(card("Waited", formatSeconds(waited.total / 1e9), "all threads", "#flame", "waited"));
	replace(byId("cards"), ...cards);
}

function sum(list, key) {
	return list.reduce((all, one) => all + one[key], 0);
}

function drawWords() {
	replace(byId("words"), ...page.summary.map((part, i) => el("div", {class: "part"},
		i === 0 ? null : el("h3", {}, part.title),
		el("dl", {}, ...part.rows.flatMap((row) => [
			el("dt", {class: row.style}, row.label),
			el("dd", {class: row.style}, row.text),
		])))));
}

function commandText(words) {
	return words.map((word) => (word === "" ? "''" : word)).join(" ");
}

function drawHead() {
	const p = model.process;
	const command = visible(p.command && p.command.length ? commandText(p.command) : p.executable || "(unknown program)");
	byId("command").textContent = shortened(command, 300);
	byId("command").title = command;
	document.title = `${visible(baseName(p.executable || command))} — perfhook report`;
	replace(byId("facts"), [
		formatSeconds(isTree ? duration - start : p.duration_s),
		isTree ? `${formatCount(model.process_count)} traces` : `process ${p.pid}`,
		p.host ? `on ${p.host}` : null,
		p.started ? p.started.replace("T", " ").replace(/\.\d+Z$/, " UTC") : null,
	].filter(Boolean).join(" · "), before ? el("span", {class: "compared"}, `Compared with ${before.trace}, ${formatSeconds(before.process.duration_s)}.`) : null);
}

const SEVERITIES = {high: "bad", medium: "warning", low: "faint"};

function evidenceText(key, value) {
	if (typeof value === "string") return value;
	if (key.endsWith("_bytes_per_s")) return formatRate(value);
	if (key.endsWith("_bytes_per_hour")) return `${formatBytes(value)} an hour`;
	if (key.endsWith("_bytes_per_request")) return formatBytes(value);
	if (key === "bytes" || key.endsWith("_bytes")) return formatBytes(value);
	if (key.endsWith("_us")) return formatSeconds(value / 1e6);
	if (key.endsWith("_s")) return formatSeconds(value);
	if (key.endsWith("_percent")) return `${value.toFixed(1)}%`;
	return Number.isInteger(value) ? formatCount(value) : String(Number(value.toPrecision(4)));
}

function evidenceName(key) {
	return key.replace("_bytes_per_request", "_per_request").replace(/_(bytes_per_s|bytes_per_hour|bytes|us|s|percent)$/, "").replace(/_/g, " ");
}

function drawFinding(finding) {
	const line = `${finding.kind}: ${finding.what}`;
	return el("li", {class: "finding"},
		el("div", {class: "finding-head"},
			el("span", {class: `tag ${SEVERITIES[finding.severity] || ""}`}, finding.severity),
			finding.saves_s > 0 ? el("span", {class: "saves"}, `${formatSeconds(finding.saves_s)} at most`) : null,
			finding.processes > 1 ? el("span", {class: "muted"}, `in ${formatCount(finding.processes)} processes; the figures are of ${finding.most_pid}, which has most`)
				: finding.most_pid ? el("span", {class: "muted"}, `in process ${finding.most_pid}`) : null),
		el("p", {class: "finding-what"}, line),
		el("p", {class: "finding-advice"}, finding.advice),
		el("dl", {class: "evidence"}, ...Object.entries(finding.evidence).filter(([key, value]) => key !== "object" && value !== null).flatMap(([key, value]) => [
			el("dt", {}, evidenceName(key)),
			el("dd", {}, evidenceText(key, value)),
		])),
		finding.stack ? el("p", {}, stackButton(finding.stack, line)) : null);
}

// Leads to a stack.
function stackButton(node, title) {
	const path = pathOf(node);
	const frame = frameOf(path.find((n) => frameOf(n).own) || node);
	return el("button", {type: "button", class: "link", onclick: (event) => showStack(node, title, event.currentTarget)},
		`${frame.function} `, el("span", {class: "muted"}, placeOf(frame)));
}

function drawFindings() {
	const none = el("p", {class: "note"}, page.looked_for ? `${page.looked_for[0].toUpperCase()}${page.looked_for.slice(1)}.` : "Nothing stood out.");
	replace(byId("findings-body"), model.findings.length
		? el("ol", {class: "findings"}, ...model.findings.map(drawFinding))
		: none);
}
