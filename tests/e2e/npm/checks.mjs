// What the official `openai` package for JavaScript sees of the bridge at the base URL in the first argument.
// One line of JSON a check: {"name": ..., "error": null or the reason}.
import { checks } from "./kit.mjs";
import "./answers.mjs";
import "./responses.mjs";
import "./sampling.mjs";
import "./structured.mjs";
import "./tools.mjs";

for (const { name, run } of checks) {
  const error = await Promise.resolve().then(run).then(() => null, (caught) => String(caught?.stack ?? caught));
  console.log(JSON.stringify({ name, error }));
}
