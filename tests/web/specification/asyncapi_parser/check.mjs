// Parse an AsyncAPI document, print what the parser finds, and fail if that is anything.
// Run: node check.mjs DOCUMENT
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(process.argv[2]);
for (const { code, path, message } of diagnostics) console.log(`${code} at ${path.join(".")}: ${message}`);
if (document === undefined || diagnostics.length > 0) process.exit(1);
console.log(`AsyncAPI ${document.version()}: ${document.messages().length} messages, nothing to report`);
