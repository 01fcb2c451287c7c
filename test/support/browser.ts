/** Chromium, driven by Playwright: pages as a person sees them, with everything that went wrong on them. */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** The browser's program: CHROMIUM, or what is on the PATH. */
const program = (): string | undefined =>
  process.env.CHROMIUM ??
  (process.env.PATH ?? "")
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));

/** Why pages cannot be tested here; false where they can. With CLIPWRIGHT_REQUIRE_BROWSER=1 the absence is an error. */
export function noBrowser(): string | false {
  if (program() !== undefined) return false;
  const why = "no Chromium: install it (apt-get install chromium) or set CHROMIUM to its program";
  if (process.env.CLIPWRIGHT_REQUIRE_BROWSER === "1") throw new Error(why);
  console.error(`PAGES ARE NOT TESTED: ${why}`);
  return why;
}

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: program()!, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

/** A page in a profile of its own, and what a person would not see: errors, dialogs and requests elsewhere. */
export async function openPage(browser: Browser, address: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 }, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const troubles: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") troubles.push(message.text());
  });
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("dialog", (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  const { origin } = new URL(address);
  page.on("request", (request) => {
    const own = request.url().replace(/^blob:/, "");
    if (!own.startsWith(`${origin}/`)) troubles.push(`request: ${request.url()}`);
  });
  await page.goto(address);
  return { context, page, troubles };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds that is serious or critical, a line each. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: {
        run(): Promise<{
          violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
        }>;
      };
    };
    const { violations } = await axe.run();
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`,
      );
  });
}

/** Whether the page is wider than the screen. */
export const isTooWide = (page: Page): Promise<boolean> =>
  page.evaluate("document.documentElement.scrollWidth > innerWidth") as Promise<boolean>;

/** Labels of one chart of which one covers the other, as pairs; charts of a report are meant. */
export const coveredLabels = (page: Page): Promise<string[]> =>
  page.evaluate(`[...document.querySelectorAll("figure.chart > svg")].flatMap((svg) => {
    const boxes = [...svg.querySelectorAll("text")].filter((one) => one.textContent !== "").map((one) => [one.textContent, one.getBoundingClientRect()]);
    return boxes.flatMap(([a, p], at) => boxes.slice(at + 1).filter(([, q]) =>
      p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 2 && q.top < p.bottom - 2).map(([b]) => svg.parentNode.id + ": " + a + " and " + b));
  })`) as Promise<string[]>;
