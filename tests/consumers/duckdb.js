// SPDX-License-Identifier: MIT
// duckdb.js SQL...: each statement in turn in one database in memory. Rows are printed with
// '|' between columns, as sqlite3 does.
"use strict";
const { DuckDBInstance } = require("@duckdb/node-api");

(async () => {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  for (const sql of process.argv.slice(2)) {
    const reader = await connection.runAndReadAll(sql);
    for (const row of reader.getRows())
      console.log(row.map((v) => (v === null ? "" : String(v))).join("|"));
  }
})().catch((e) => {
  console.error(e.message);
  process.exit(1);
});
