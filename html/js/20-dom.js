// SPDX-License-Identifier: MIT
// Elements. Whatever comes from the trace gets in as text only.

const byId = (id) => document.getElementById(id);

// el("td", {class: "number"}, "12", other): strings become text nodes.
function el(name, attributes, ...children) {
	const node = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
		else node.setAttribute(key, value === true ? "" : String(value));
	}
	node.append(...children.filter((child) => child !== null && child !== undefined));
	return node;
}

function replace(node, ...children) {
	node.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

// Calls that come close together are one.
function debounced(ms, run) {
	let timer = 0;
	return (...given) => {
		clearTimeout(timer);
		timer = setTimeout(() => run(...given), ms);
	};
}

// A colour of the page's, as it now is.
function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function isDark() {
	const chosen = document.documentElement.dataset.theme;
	return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
