/** What `--report-to` can be. */
export const reporterNames = ["tensorboard", "csv"] as const;
export type ReporterName = (typeof reporterNames)[number];
