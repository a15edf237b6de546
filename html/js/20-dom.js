// SPDX-License-Identifier: MIT
// Elements. Whatever comes from the trace gets in as text only.

const byId = (id) => document.getElementById(id);

// What moves the cursor, hides text or turns its direction: escaped, as the text report does.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;
const LETTERS = {"\n": "\\n", "\r": "\\r"};

function visible(text) {
	return text.replace(CONTROL, (c) => {
		const code = c.codePointAt(0).toString(16);
		return LETTERS[c] || (code.length < 3 && c < "\u0080" ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`);
	});
}

// A name that would fill the page: its ends, where names differ.
function shortened(text, most) {
	const head = Math.floor((most - 1) / 3);
	return text.length > most ? `${text.slice(0, head)}…${text.slice(head + 1 - most)}` : text;
}

const asText = (child) => (typeof child === "string" ? visible(child) : child);

// el("td", {class: "number"}, "12", other): strings become text nodes.
function el(name, attributes, ...children) {
	const node = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (value === null || value === undefined || value === false) continue;
		if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
		else node.setAttribute(key, value === true ? "" : visible(String(value)));
	}
	node.append(...children.filter((child) => child !== null && child !== undefined).map(asText));
	return node;
}

function replace(node, ...children) {
	node.replaceChildren(...children.filter((child) => child !== null && child !== undefined).map(asText));
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
