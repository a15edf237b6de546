// SPDX-License-Identifier: MIT
// From bundle.js and node_modules: vendor.js, vendor.css, LICENSES.txt, manifest.json.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

const lock = JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
const packages = [];
const byText = new Map();

for (const [path, entry] of Object.entries(lock)) {
	if (path === "" || entry.dev || entry.optional || !existsSync(path)) continue;
	const about = JSON.parse(readFileSync(`${path}/package.json`, "utf8"));
	const file = readdirSync(path).find((name) => /^licen[cs]e/i.test(name));
	const text = readFileSync(`${path}/${file}`, "utf8").trim();
	const name = `${about.name} ${about.version}`;
	packages.push({
		name: about.name,
		version: about.version,
		licence: about.license,
		integrity: entry.integrity,
	});
	byText.set(text, [...(byText.get(text) || []), name]);
}

const licences = [...byText]
	.map(([text, names]) => `${names.join(", ")}:\n\n${text}\n`)
	.join("\n----\n\n");
const comment = licences.replace(/\*\//g, "* /");

writeFileSync("LICENSES.txt", licences);
writeFileSync("vendor.js", `/*! The libraries in this script and their licences.\n\n${comment}*/\n${readFileSync("bundle.js", "utf8")}`);
writeFileSync("vendor.css", readFileSync("node_modules/uplot/dist/uPlot.min.css", "utf8").trim() + "\n");

const hash = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
writeFileSync(
	"manifest.json",
	JSON.stringify(
		{
			packages,
			files: Object.fromEntries(
				["vendor.js", "vendor.css", "LICENSES.txt"].map((f) => [f, { sha256: hash(f) }]),
			),
		},
		null,
		"\t",
	) + "\n",
);
