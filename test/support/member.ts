/** One of several processes in a test: joins the store, exchanges values, tries the engine; prints a line of JSON. */

import { processGroup } from "../../src/engines/processes.js";
import { Store } from "../../src/engines/xla/store.js";
import { Xla } from "../../src/engines/xla/xla.js";

const group = processGroup();
if (group === undefined) throw new Error("no group in the environment");
const store = await Store.join(group, 20_000);
await store.put(`name/${group.index}`, new TextEncoder().encode(`process ${group.index}`));
const names: string[] = [];
for (let i = 0; i < group.count; i++) {
  names.push(new TextDecoder().decode(await store.get(`name/${i}`, 20_000)));
}
const plugin = process.argv[2];
let engine = "not tried";
if (plugin !== undefined) {
  engine = await Xla.open({ plugin, processes: store.place }).then(
    () => "opened",
    (error: Error) => error.message,
  );
}
process.stdout.write(`${JSON.stringify({ index: group.index, launcher: group.launcher, names, engine })}\n`);
await store.leave();
