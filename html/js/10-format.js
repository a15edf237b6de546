// SPDX-License-Identifier: MIT
// Values as people read them: the same as analyzer/format_text.c says them.

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function formatBytes(bytes) {
	let unit = 0;
	if (!Number.isFinite(bytes)) return "-";
	while (Math.abs(bytes) >= (unit === 0 ? 1023.5 : 1023.95) && unit + 1 < BYTE_UNITS.length) {
		bytes /= 1024;
		unit++;
	}
	return `${bytes.toFixed(unit === 0 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}

function formatRate(bytesPerS) {
	return Number.isFinite(bytesPerS) ? `${formatBytes(bytesPerS)}/s` : "-";
}

function formatCount(n) {
	return Number.isFinite(n) ? String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",") : "-";
}

// "1 block", "2,000 blocks".
function formatCounted(n, noun) {
	return `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;
}

function formatPercent(part, whole) {
	const percent = (100 * part) / whole;
	if (!(whole > 0)) return "-";
	return percent > 0 && percent < 0.05 ? "<0.1%" : `${percent.toFixed(1)}%`;
}

function shortTime(value, unit) {
	return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
}

const two = (n) => String(n).padStart(2, "0");

function formatSeconds(s) {
	if (s === null || s === undefined || !Number.isFinite(s)) return "-";
	if (s < 0) return `-${formatSeconds(-s)}`;
	if (s === 0) return "0 s";
	if (s < 999.5e-9) return `${(s * 1e9).toFixed(0)} ns`;
	if (s < 999.5e-6) return shortTime(s * 1e6, "µs");
	if (s < 999.5e-3) return shortTime(s * 1e3, "ms");
	if (s < 99.95) return shortTime(s, "s");
	const whole = Math.round(s);
	if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
	if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
	return `${Math.floor(whole / 86400)} d ${two(Math.floor(whole / 3600) % 24)} h`;
}

// A value of a cost, in the cost's unit.
const UNITS = {
	bytes: formatBytes,
	allocations: formatCount,
	nanoseconds: (ns) => formatSeconds(ns / 1e9),
	"bytes/s": formatRate,
	count: formatCount,
	seconds: formatSeconds,
	threads: (n) => (n < 9.95 ? n.toFixed(1) : formatCount(n)),
	percent: (p) => `${p.toFixed(1)}%`,
};

function formatValue(value, unit) {
	return (UNITS[unit] || String)(value);
}

// An instant on an axis whose ticks are `step` seconds apart.
function formatInstant(s, step) {
	if (step >= 1 || s === 0) return formatClock(s);
	let decimals = 1;
	while (decimals < 9 && Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) > 1e-6) decimals++;
	return `${s.toFixed(decimals)} s`;
}

function formatClock(s) {
	if (s < 60) return `${Number(s.toFixed(3))} s`;
	if (s < 3600) return `${Math.floor(s / 60)}:${two(Math.floor(s % 60))}`;
	return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(Math.floor(s % 60))}`;
}

function baseName(path) {
	return path.slice(path.lastIndexOf("/") + 1);
}
