/** A process that writes verdicts to a log: `node review-writer.js LOG NAME COUNT AT_ONCE`. Tells each id once it is on the disk. */

import { writeSync } from "node:fs";
import { ReviewLog } from "../../src/curate/review/log/log.js";
import { makeVerdict } from "../../src/curate/review/log/verdict.js";

const [path, reviewer, count, atOnce] = process.argv.slice(2);
using log = new ReviewLog(path!);
for (let i = 0; i < Number(count); i += Number(atOnce)) {
  const verdicts = Array.from({ length: Number(atOnce) }, (_, k) =>
    makeVerdict({
      item: { source: "photos", key: `${i + k}.jpg`, captionIndex: 0, uid: null },
      question: "pair",
      answer: "keep",
      // Of every length, so that lines begin and end everywhere in a block.
      correctedCaption: "ü".repeat(1 + ((i + k) % 700)),
      reviewer: reviewer!,
      tool: "test",
    }),
  );
  log.append(...verdicts);
  writeSync(1, `${verdicts.map(({ id }) => id).join("\n")}\n`);
}
