/* SPDX-License-Identifier: MIT */
/* The drawing knows all it shows: frames are <g> in order, each before what is below
 * it, with its depth, weight and own cost as attributes and its name as the first line
 * of its title. Names are only ever put back as text. */
(function () {
"use strict";
var svg = document.documentElement, NS = svg.namespaceURI;
var data = svg.dataset, ROW = +data.row, HEAD = +data.head, FOOT = +data.foot;
var layer = document.getElementById("frames"), details = document.getElementById("details");
var title = document.getElementById("title"), about = document.getElementById("about");
var letter = 7.2, state = { root: null, icicle: false, other: false, find: "", chosen: null };
var views = [null, null]; /* as drawn; from the other end */

function element(name, attributes, parent) {
  var e = document.createElementNS(NS, name);
  for (var key in attributes) e.setAttribute(key, attributes[key]);
  if (parent) parent.appendChild(e);
  return e;
}

function grouped(n) { return String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ","); }

function scaled(n, step, units) {
  var i = 0;
  while (n >= step && i < units.length - 1) { n /= step; i++; }
  return (i === 0 ? String(Math.round(n)) : n.toPrecision(n < 100 ? 3 : 4)) + " " + units[i];
}

function valueText(n) {
  if (data.unit === "bytes") return scaled(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
  if (data.unit === "nanoseconds") return scaled(n, 1000, ["ns", "\u00b5s", "ms", "s"]);
  return grouped(n);
}

/* The view that the drawing holds. */
function readView() {
  var nodes = [], path = [], groups = layer.children, deepest = 0;
  for (var i = 0; i < groups.length; i++) {
    var g = groups[i], said = g.querySelector("title").textContent, d = +g.dataset.d;
    var node = { name: said.split("\n")[0], title: said, depth: d, weight: +g.dataset.w,
      self: +g.dataset.s, before: +(g.dataset.b || 0), children: [], parent: d ? path[d - 1] : null,
      g: g, fill: g.querySelector("rect").getAttribute("fill") };
    path[d] = node;
    if (node.parent) node.parent.children.push(node);
    if (d > deepest) deepest = d;
    nodes.push(node);
  }
  return { nodes: nodes, root: nodes[0], deepest: deepest };
}

function childOf(parent, from) {
  var child = parent.index.get(from.name);
  if (!child) {
    child = { name: from.name, depth: parent.depth + 1, weight: 0, self: 0, before: 0, children: [],
      index: new Map(), parent: parent, fill: from.fill };
    parent.index.set(from.name, child);
    parent.children.push(child);
  }
  return child;
}

function change(after, before) {
  if (data.diff !== "1") return "";
  return "\nbefore: " + valueText(before);
}

/* The same stacks from their other ends. Of a difference, the larger side is the width. */
function otherView(view) {
  var root = { name: view.root.name, depth: 0, weight: 0, self: 0, before: 0, children: [],
    index: new Map(), parent: null, fill: view.root.fill }, nodes = [], deepest = 0;
  view.nodes.forEach(function (n) {
    var own = Math.max(n.self, n.before), at = root;
    if (!own || !n.parent) return;
    for (var from = n; ; from = from.parent) {
      at.weight += own; at.sumAfter = (at.sumAfter || 0) + n.self;
      at.sumBefore = (at.sumBefore || 0) + n.before;
      if (!from.parent) break;
      at = childOf(at, from);
    }
  });
  (function walk(list) {
    while (list.length) {
      var n = list.pop();
      nodes.push(n);
      deepest = Math.max(deepest, n.depth);
      n.title = n.name + "\n" + valueText(n.sumAfter || 0) + ", " +
        (100 * n.weight / (root.weight || 1)).toFixed(2) + "%" + change(n.sumAfter, n.sumBefore);
      n.children.sort(function (a, b) { return a.weight - b.weight; });
      n.children.forEach(function (c) { list.push(c); });
      n.children.reverse();
    }
  })([root]);
  return { nodes: nodes, root: root, deepest: deepest };
}

function view() { return views[state.other ? 1 : 0]; }

function draw(node) {
  if (node.g) return;
  node.g = element("g", {}, layer);
  element("title", {}, node.g).textContent = node.title;
  element("rect", { height: ROW - 1, fill: node.fill }, node.g);
}

function label(node) {
  var width = node.w * svg.clientWidth, room = Math.floor((width - 6) / letter);
  var text = node.g.querySelector("text");
  if (room < 3) { if (text) text.textContent = ""; return; }
  text = text || element("text", { dx: 3 }, node.g);
  text.setAttribute("x", 100 * node.x + "%");
  text.setAttribute("y", node.y + ROW - 5);
  var name = Array.from(node.name);
  text.textContent = name.length > room ? name.slice(0, room - 2).join("") + ".." : node.name;
}

function place(node, x, w, outer) {
  var hidden = w * svg.clientWidth < 0.1;
  node.x = x; node.w = w; node.shown = !hidden;
  if (hidden && !node.g) return;
  draw(node);
  node.y = HEAD + (state.icicle ? node.depth : view().deepest - node.depth) * ROW;
  node.g.setAttribute("class", (hidden ? "hidden" : "") + (outer ? " outer" : "") +
    (node.found ? " found" : "") + (node === state.chosen ? " chosen" : ""));
  if (hidden) return;
  var rect = node.g.querySelector("rect");
  rect.setAttribute("x", 100 * x + "%");
  rect.setAttribute("width", 100 * w + "%");
  rect.setAttribute("y", node.y);
  label(node);
}

function placeBelow(node) {
  var list = [node];
  while (list.length) {
    var n = list.pop(), x = n.x;
    n.children.forEach(function (c) {
      place(c, x, n.weight ? n.w * c.weight / n.weight : 0, false);
      x += c.w;
      list.push(c);
    });
  }
}

function render() {
  var v = view(), top = state.root || v.root, height = HEAD + (v.deepest + 1) * ROW + FOOT;
  svg.setAttribute("height", height);
  views.forEach(function (each) {
    if (each) each.nodes.forEach(function (n) {
      n.shown = false;
      if (n.g) n.g.setAttribute("class", "hidden");
    });
  });
  mark();
  for (var n = top.parent; n; n = n.parent) place(n, 0, 1, true);
  place(top, 0, 1, false);
  placeBelow(top);
  status();
  stick();
}

/* Search. */
function expression() {
  if (!state.find) return null;
  try { return new RegExp(state.find, "i"); } catch (e) {
    return new RegExp(state.find.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
  }
}

function mark() {
  var re = expression();
  state.matched = 0;
  view().nodes.forEach(function (n) {
    n.found = !!re && re.test(n.name);
    n.within = !!n.parent && (n.parent.found || n.parent.within);
    if (n.found && !n.within && inZoom(n)) state.matched += n.weight;
  });
}

function inZoom(n) {
  var top = state.root;
  if (!top) return true;
  for (; n; n = n.parent) if (n === top) return true;
  return false;
}

function status() {
  var top = state.root || view().root, text = "";
  if (state.find) text = "matched " + (100 * state.matched / (top.weight || 1)).toFixed(2) + "%";
  else if (state.root) text = "zoomed: " + (100 * top.weight / (view().root.weight || 1)).toFixed(2) + "%";
  if (state.other) text += " callers and callees swapped";
  bar.status.textContent = text;
}

/* What is said of a frame. */
function choose(node) {
  if (state.chosen && state.chosen.g) state.chosen.g.classList.remove("chosen");
  state.chosen = node;
  if (node && node.g) node.g.classList.add("chosen");
  details.textContent = node ? node.title.split("\n").join("  ") : "";
}

function zoom(node) {
  state.root = node && node.parent ? node : null;
  render();
}

function reset() {
  state.find = "";
  if (bar.input) bar.input.value = "";
  choose(null);
  zoom(null);
}

function flip() { state.icicle = !state.icicle; render(); scrollToRoot(); }

function swap() {
  if (!views[1]) views[1] = otherView(views[0]);
  state.other = !state.other;
  choose(null);
  zoom(null);
  scrollToRoot();
}

function search(text) { state.find = text; render(); }

/* The tools stay where they are seen. */
var bar = {};
function button(text, x, help, action) {
  var width = text.length * letter + 12;
  var g = element("g", { "class": "button", tabindex: 0, role: "button",
    transform: "translate(" + x + ",4)" }, bar.top);
  element("title", {}, g).textContent = help;
  element("rect", { width: width, height: 20, rx: 3 }, g);
  element("text", { x: 6, y: 14 }, g).textContent = text;
  g.addEventListener("click", function (e) { e.stopPropagation(); action(); });
  g.addEventListener("keydown", function (e) {
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); e.stopPropagation(); action(); }
  });
  return x + width + 6;
}

function makeBar() {
  bar.top = element("g", {}, svg);
  element("rect", { "class": "bar", width: "100%", height: 48 }, bar.top);
  var x = button("Reset", 8, "Esc: everything again", reset);
  x = button("Icicle", x, "f: the outermost function on top", flip);
  x = button("Swap", x, "i: begin with the functions called last", swap);
  var box = element("foreignObject", { x: x, y: 4, width: 230, height: 22 }, bar.top);
  bar.input = document.createElementNS("http://www.w3.org/1999/xhtml", "input");
  bar.input.setAttribute("placeholder", "/ search (regular expression)");
  bar.input.setAttribute("aria-label", "search");
  bar.input.addEventListener("input", function () { search(bar.input.value); });
  box.appendChild(bar.input);
  bar.status = element("text", { "class": "status", x: x + 240, y: 18, role: "status" }, bar.top);
  bar.top.appendChild(title);
  bar.bottom = element("g", {}, svg);
  element("rect", { "class": "bar", width: "100%", height: FOOT }, bar.bottom);
  details.setAttribute("y", 18);
  details.setAttribute("role", "status");
  bar.bottom.appendChild(details);
}

function stick() {
  var height = svg.getBoundingClientRect().height, y = window.scrollY || 0;
  bar.top.setAttribute("transform", "translate(0," + y + ")");
  bar.bottom.setAttribute("transform", "translate(0," +
    (Math.min(height, y + window.innerHeight) - FOOT) + ")");
}

function scrollToRoot() { window.scrollTo(0, state.icicle ? 0 : document.documentElement.scrollHeight); stick(); }

/* Events. */
function nodeOf(target) {
  var g = target.closest && target.closest("#frames > g");
  return g && view().nodes.find(function (n) { return n.g === g; });
}

function shownChild(n) { return n.children.find(function (c) { return c.shown; }); }

function sibling(n, step) {
  var list = n.parent ? n.parent.children.filter(function (c) { return c.shown; }) : [n];
  return list[list.indexOf(n) + step];
}

function move(key) {
  var n = state.chosen || state.root || view().root, up = key === "ArrowUp";
  if (key === "ArrowLeft") n = sibling(n, -1) || n;
  else if (key === "ArrowRight") n = sibling(n, 1) || n;
  else n = (up !== state.icicle ? shownChild(n) : n.parent) || n;
  choose(n);
  if (n.g && n.g.scrollIntoView) n.g.scrollIntoView({ block: "nearest" });
}

function key(e) {
  if (e.target === bar.input) {
    if (e.key === "Escape") { bar.input.blur(); reset(); }
    return;
  }
  if ((e.ctrlKey || e.metaKey) && e.key === "f" || e.key === "/") bar.input.focus();
  else if (e.ctrlKey || e.metaKey || e.altKey) return;
  else if (e.key === "Escape") reset();
  else if (e.key === "f") flip();
  else if (e.key === "i") swap();
  else if (e.key === "Enter" && state.chosen) zoom(state.chosen);
  else if (e.key === "Backspace" && state.root) zoom(state.root.parent);
  else if (e.key.slice(0, 5) === "Arrow") move(e.key);
  else return;
  e.preventDefault();
}

function begin() {
  svg.removeAttribute("viewBox");
  svg.setAttribute("width", "100%");
  title.setAttribute("x", 10);
  title.setAttribute("y", 43);
  title.setAttribute("style", "text-anchor: start");
  about.setAttribute("x", 10);
  about.setAttribute("y", 62);
  about.setAttribute("style", "text-anchor: start");
  document.getElementById("legend").setAttribute("transform", "translate(0,24)");
  HEAD += 24;
  var probe = element("text", { visibility: "hidden" }, svg);
  probe.textContent = "mmmmmmmmmmmmmmmmmmmm";
  letter = probe.getComputedTextLength() / 20 || letter;
  svg.removeChild(probe);
  views[0] = readView();
  makeBar();
  layer.addEventListener("mouseover", function (e) { var n = nodeOf(e.target); if (n) choose(n); });
  layer.addEventListener("click", function (e) { var n = nodeOf(e.target); if (n) zoom(n); });
  window.addEventListener("keydown", key);
  window.addEventListener("scroll", stick);
  window.addEventListener("resize", render);
  render();
  scrollToRoot();
}
begin();
})();
