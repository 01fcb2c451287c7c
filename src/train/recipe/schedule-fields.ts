/** Settings of a recipe on the learning rate over the run, and on ends that come early. */

import { deadline } from "../../settings/deadline.js";
import { choice, defaulted, duration, optional, real } from "../../settings/fields.js";

/** Shapes of the learning rate over the run. */
export const scheduleShapes = ["cosine", "constant", "const-cooldown"] as const;
export type ScheduleShape = (typeof scheduleShapes)[number];
/** Shapes of the decay at the end of `const-cooldown`. */
export const cooldownShapes = ["1-sqrt", "linear"] as const;
export type CooldownShape = (typeof cooldownShapes)[number];

export const scheduleFields = {
  schedule: defaulted(
    choice(scheduleShapes, { const: "constant" }),
    "cosine",
    "Shape of the learning rate.",
    {
      aliases: ["lr-scheduler"],
    },
  ),
  warmup: defaulted(
    duration("steps"),
    { unit: "percent", value: 5 },
    "Linear rise: a fraction below 1 (0.05), whole steps (500), or a duration.",
  ),
  cooldown: optional(
    real({ above: 0, max: 1 }),
    "Share of the run that const-cooldown decays over (default 0.2).",
  ),
  cooldownShape: defaulted(choice(cooldownShapes), "1-sqrt", "Shape of that decay."),
  deadline: optional(
    deadline(),
    "When this sitting must be over, 2h30m from its start or a time of day, 06:30: const-cooldown then begins early, as long as the time allows, and the run is finished.",
    { free: true },
  ),
  grace: defaulted(
    duration("seconds"),
    { unit: "seconds", value: 25 },
    "The same when the process is asked to end by SIGTERM: so long after it. 0 stops and saves, to be continued.",
    { free: true },
  ),
  lrEnd: defaulted(real({ min: 0 }), 0, "Learning rate at the end of a cosine or cooldown.", {
    aliases: ["lr-cooldown-end"],
  }),
} as const;
