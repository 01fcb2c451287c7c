/** What may be spent: time, money at a price, or multiply-adds. */

import { z } from "zod";
import { UsageError } from "../../core/errors.js";
import { readCheckedJson } from "../../settings/json.js";

/** Exactly one of time, money and gmacs. */
export interface BudgetInput {
  /** Seconds of training. */
  readonly seconds?: number | undefined;
  /** In any currency, that of the price. */
  readonly money?: number | undefined;
  /** What an hour costs: a number, or a file of prices. */
  readonly price?: number | string | undefined;
  /** Of a file of prices: which machine, where it has several. */
  readonly machine?: string | undefined;
  /** Multiply-adds of all forward passes, 10⁹. */
  readonly gmacs?: number | undefined;
}

export interface Budget {
  readonly seconds: number | undefined;
  readonly gmacs: number | undefined;
  /** In words, with where a price is from. */
  readonly words: string;
}

const pricesSchema = z
  .array(
    z.object({
      provider: z.string(),
      machine: z.string(),
      perHour: z.number().positive(),
      currency: z.string(),
      date: z.iso.date(),
      source: z.string().min(1),
    }),
  )
  .min(1);

/** Checks a budget. Throws `UsageError` for none, two, and money without a price: prices change, and none is built in. */
export function budgetOf(input: BudgetInput): Budget {
  const { seconds, money, gmacs, price, machine } = input;
  const given = { time: seconds, money, gmacs };
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  if (said.length !== 1)
    throw new UsageError(
      `plan: the budget is one of time, money and gmacs; got ${said.length === 0 ? "none" : said.map(([key]) => key).join(" and ")}. Write e.g. --time 2h.`,
      { code: "ERR_SETTING", key: said[1]?.[0] ?? "time" },
    );
  const [[key, value]] = said as [[string, number]];
  if (!(value > 0 && Number.isFinite(value)))
    throw new UsageError(`${key}: must be above 0; got ${key}=${value}.`, { code: "ERR_SETTING", key });
  if (price !== undefined && money === undefined)
    throw new UsageError(
      `price: goes with money; got price=${price} without it. Add --money, or remove it.`,
      {
        code: "ERR_SETTING",
        key: "price",
      },
    );
  if (gmacs !== undefined)
    return { seconds: undefined, gmacs, words: `${gmacs.toLocaleString("en-US")} · 10⁹ multiply-adds` };
  if (money === undefined) return { seconds, gmacs, words: "time" };
  const { perHour, words } = priceOf(price, machine);
  return { seconds: (3600 * money) / perHour, gmacs, words: `${money} at ${words}` };
}

function priceOf(price: number | string | undefined, machine: string | undefined) {
  if (price === undefined)
    throw new UsageError(
      "price: money needs what an hour costs; got none, and none is built in. Write --price 2.5/h, or give a file of prices.",
      { code: "ERR_SETTING", key: "price" },
    );
  const hourly = typeof price === "number" ? price : Number(/^([\d.]+)\s*(?:\/\s*h)?$/.exec(price)?.[1]);
  if (hourly > 0) return { perHour: hourly, words: `${hourly} an hour` };
  if (typeof price === "number" || !price.endsWith(".json"))
    throw new UsageError(
      `price: must be what an hour costs, or a .json file of prices; got price=${price}. Write 2.5/h.`,
      { code: "ERR_SETTING", key: "price" },
    );
  const prices = readCheckedJson(
    price,
    pricesSchema,
    'It is a list of {"provider", "machine", "perHour", "currency", "date", "source"}, the date as 2026-01-31.',
  );
  const fitting = prices.filter((one) => machine === undefined || one.machine === machine);
  const [one, ...more] = fitting;
  if (one === undefined || more.length > 0)
    throw new UsageError(
      `machine: must name one machine of ${price}: ${prices.map((p) => p.machine).join(", ")}; got ${machine ?? "none"}.`,
      { code: "ERR_SETTING", key: "machine", file: price },
    );
  const { perHour, currency, provider, date, source } = one;
  return {
    perHour,
    words: `${perHour} ${currency} an hour (${provider} ${one.machine}, ${date}, ${source})`,
  };
}
