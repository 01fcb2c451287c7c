/** When something must be over: so long from now, or at a time of day. */

import { z } from "zod";
import { formatSeconds, parseSeconds } from "./duration.js";
import type { Kind } from "./fields.js";

/** Seconds after the start of the sitting, or the next time that the clock shows so many minutes after midnight. */
export type Deadline =
  | { readonly kind: "after"; readonly seconds: number }
  | { readonly kind: "at"; readonly minutes: number };

const TIME_OF_DAY = /^([01]?\d|2[0-3]):([0-5]\d)$/;

/** `2h30m`, or a time of day such as `06:30`. */
export const deadline = (): Kind<Deadline, string> => ({
  schema: z.unknown().transform((input, context) => {
    const text = String(input).trim();
    const time = TIME_OF_DAY.exec(text);
    if (time !== null) return { kind: "at", minutes: 60 * Number(time[1]) + Number(time[2]) };
    const seconds = typeof input === "string" ? parseSeconds(text) : undefined;
    if (seconds !== undefined && seconds > 0) return { kind: "after", seconds };
    context.addIssue({
      code: "custom",
      message: `must be a time from now or of day; got ${JSON.stringify(input)}. Write 2h30m or 06:30.`,
    });
    return z.NEVER;
  }) as unknown as Kind<Deadline, string>["schema"],
  type: "string",
  rule: "must be a time",
  placeholder: "TIME",
  arity: "one",
  fromText: (word) => word,
  toJson(value) {
    if (value.kind === "after") return formatSeconds(value.seconds);
    const two = (n: number) => String(n).padStart(2, "0");
    return `${two(Math.floor(value.minutes / 60))}:${two(value.minutes % 60)}`;
  },
});

/** Seconds from `start`, by the clock of this machine's place. */
export function secondsTo(value: Deadline, start: Date): number {
  if (value.kind === "after") return value.seconds;
  const end = new Date(start);
  end.setHours(Math.floor(value.minutes / 60), value.minutes % 60, 0, 0);
  if (end <= start) end.setDate(end.getDate() + 1);
  return (end.getTime() - start.getTime()) / 1000;
}
