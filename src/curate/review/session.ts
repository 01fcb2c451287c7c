/** A review under way: the set, its log, and who is asked what. What the server tells and takes, without the server. */

import { UsageError } from "../../core/errors.js";
import { keyFromSeed } from "../../core/random.js";
import { version } from "../../core/version.js";
import { agreementMessage, reviewReport } from "./agreement/report.js";
import type { ReviewLog } from "./log/log.js";
import { isConflict, type Opinions, Standing } from "./log/standing.js";
import { type Category, entityKey, makeVerdict, pairKey, type Verdict } from "./log/verdict.js";
import { type FaultsLeft, faultsLeft } from "./order/faults-left.js";
import { drawOf, Handout, type HandoutSettings } from "./order/handout.js";
import { orderOf, prioritiesOf, type ReviewOrder, strataOf } from "./order/priority.js";
import { isFault } from "./outcome.js";
import type {
  AgreementMessage,
  GroupsMessage,
  ItemMessage,
  ItemsMessage,
  OpinionMessage,
  ProgressMessage,
  SetMessage,
  Status,
  UndoReply,
  VerdictMessage,
  VerdictReply,
} from "./protocol.js";
import { classesOf, copyGroups, ItemIndex, type ReviewSet } from "./set.js";

export interface SessionSettings {
  /** Default `useful`. */
  readonly order?: ReviewOrder;
  readonly handout?: Partial<HandoutSettings>;
  /** Known answers, by item. */
  readonly gold?: ReadonlyMap<number, Category>;
  /** The review is over when at most this share of what nobody has seen is at fault, by the interval's upper end. Default 0.02. */
  readonly stopAt?: number;
  /** The time in ms, for tests. */
  readonly now?: () => number;
}

export interface ItemFilter {
  readonly status: Status;
  /** In the caption, class or key, whatever its case. */
  readonly text?: string | undefined;
  readonly reason?: string | undefined;
  readonly score?: string | undefined;
  readonly low?: number | undefined;
  readonly high?: number | undefined;
  /** Where the last request ended. */
  readonly from?: number | undefined;
  /** Items that the page has already. */
  readonly shown?: readonly number[] | undefined;
  /** Default 5. */
  readonly count?: number | undefined;
}

/** A verdict that can be taken back, by the one that brings back how things stood. */
interface Undoable {
  readonly id: string;
  readonly back: Omit<Verdict, "id" | "time">;
}

const STRATA = 10;
const GROUPS_AT_ONCE = 6;

export class ReviewSession {
  readonly standing = new Standing();
  readonly index: ItemIndex;
  readonly classes: readonly string[];
  readonly groups: readonly (readonly number[])[];
  readonly stopAt: number;
  readonly gold: ReadonlyMap<number, Category>;
  /** Lines of the log that hold no verdict, and verdicts on what is not reviewed here. */
  damaged = 0;
  foreign = 0;
  private readonly keys: readonly string[];
  private readonly order: Uint32Array;
  private readonly rank: Uint32Array;
  private readonly strata: Uint8Array;
  private readonly handout: Handout;
  /** Each reviewer's items in the order of the first verdict, and the verdicts that can be taken back. */
  private readonly judged = new Map<string, Set<number>>();
  private readonly history = new Map<string, Undoable[]>();
  /** Captions of a picture, by row. */
  private readonly captionsOf = new Map<number, number[]>();

  constructor(
    readonly set: ReviewSet,
    private readonly log: Pick<ReviewLog, "append" | "read">,
    { order = "useful", handout, gold = new Map(), stopAt = 0.02, now }: SessionSettings = {},
  ) {
    const { items, scores, selected } = set;
    this.gold = gold;
    this.stopAt = stopAt;
    this.index = new ItemIndex(items);
    this.classes = classesOf(items);
    this.groups = copyGroups(items);
    this.keys = items.map(({ id }) => entityKey({ item: id, question: "pair" }));
    for (const [i, { row }] of items.entries()) {
      if (row === undefined) continue;
      const same = this.captionsOf.get(row);
      if (same === undefined) this.captionsOf.set(row, [i]);
      else same.push(i);
    }
    const groupSize = new Map<number, number>();
    for (const members of this.groups) for (const i of members) groupSize.set(i, members.length);
    const priorities = prioritiesOf({
      length: items.length,
      scores,
      keep: selected ? items.map(({ keep }) => keep) : undefined,
      speaksFor: Float64Array.from(items, ({ weight = 1 }, i) => weight * (groupSize.get(i) ?? 1)),
    });
    this.order = orderOf(order, priorities, (i) => drawOf(keyFromSeed(1), this.keys[i]!));
    this.rank = new Uint32Array(items.length);
    for (const [rank, i] of this.order.entries()) this.rank[i] = rank;
    this.strata = strataOf(priorities.quality, STRATA);
    this.handout = new Handout({
      length: items.length,
      keyOf: (i) => pairKey(items[i]!.id),
      order: this.order,
      strata: this.strata,
      gold: new Set(gold.keys()),
      opinionsOf: (i) => this.opinions(i),
      settings: handout,
      ...(now !== undefined && { now }),
    });
    this.refresh();
  }

  /** Takes in what this or another process has written to the log. */
  refresh(): void {
    const { verdicts, damaged } = this.log.read();
    this.damaged += damaged.length;
    for (const verdict of verdicts) this.take(verdict);
  }

  private take(verdict: Verdict): void {
    const item = this.index.find(verdict.item);
    const other = verdict.other === undefined ? undefined : this.index.find(verdict.other);
    if (item === undefined || (verdict.other !== undefined && other === undefined)) {
      this.foreign++;
      return;
    }
    const { items } = this.set;
    // Found by its uid, it may have had another name.
    const known: Verdict = {
      ...verdict,
      item: items[item]!.id,
      ...(other !== undefined && { other: items[other]!.id }),
    };
    this.remember(known);
    this.standing.add(known);
    if (known.question === "duplicate") return;
    this.handout.release(item, known.reviewer);
    const judged = this.judged.get(known.reviewer) ?? new Set<number>();
    this.judged.set(known.reviewer, judged);
    if (known.answer === "undecided" && !this.opinions(item).has(known.reviewer)) judged.delete(item);
    else judged.add(item);
  }

  private remember(verdict: Verdict): void {
    const { id, reviewer, undoes, repeat } = verdict;
    const history = this.history.get(reviewer) ?? [];
    this.history.set(reviewer, undoes === undefined ? history : history.filter((each) => each.id !== undoes));
    if (undoes !== undefined) return;
    const before = this.standing.opinions(entityKey(verdict)).get(reviewer);
    const { correctedCaption, correctedLabel, shownScores, ...bare } = verdict;
    // A second answer is taken away; of the first, what stood before comes back.
    const back = repeat === true || before === undefined ? { ...bare, answer: "undecided" as const } : before;
    history.push({ id, back });
  }

  opinions(item: number): Opinions {
    return this.standing.opinions(this.keys[item]!);
  }

  description(): SetMessage {
    const { title, items, scores } = this.set;
    const reasons = new Set(items.map(({ reason }) => reason).filter((reason) => reason !== undefined));
    return {
      title,
      items: items.length,
      scores: scores.map(({ name, about, values }) => {
        const known = values.filter((value) => !Number.isNaN(value));
        const low = known.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
        const high = known.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        return { name, about, low: known.length > 0 ? low : 0, high: known.length > 0 ? high : 0 };
      }),
      reasons: [...reasons].sort(),
      classes: this.classes,
      groups: this.groups.length,
    };
  }

  /** The next questions, or what a filter lets through in the order of the review. */
  items(reviewer: string, filter: ItemFilter): ItemsMessage {
    this.refresh();
    const { status, count = 5, shown = [], from = 0 } = filter;
    const passes = this.passing(filter);
    if (status === "next" && passes === undefined) {
      const judged = [...(this.judged.get(reviewer) ?? [])];
      const wasRepeated = (i: number): boolean => this.standing.wasRepeated(this.keys[i]!, reviewer);
      const handed = this.handout.next({ name: reviewer, judged, wasRepeated }, count, new Set(shown));
      const items = handed.map(({ item, drawn, repeat }) => this.message(item, reviewer, drawn, repeat));
      return { items, next: items.length < count ? null : 0, total: null };
    }
    const items: ItemMessage[] = [];
    let total = 0;
    let next: number | null = null;
    for (const [place, i] of this.order.entries()) {
      if (passes?.(i) === false || !this.hasStatus(i, status, reviewer)) continue;
      total++;
      if (place < from) continue;
      if (items.length < count) items.push(this.message(i, reviewer, "free", false));
      else next ??= place;
    }
    return { items, next, total };
  }

  item(item: number, reviewer: string): ItemMessage {
    return this.message(item, reviewer, "free", false);
  }

  private passing({ text, reason, score, low, high }: ItemFilter): ((i: number) => boolean) | undefined {
    const { items, scores } = this.set;
    const tests: ((i: number) => boolean)[] = [];
    if (text !== undefined && text !== "") {
      const wanted = text.toLowerCase();
      tests.push((i) => {
        const { caption, label = "", id } = items[i]!;
        return [caption, label, id.key].some((words) => words.toLowerCase().includes(wanted));
      });
    }
    if (reason !== undefined) tests.push((i) => items[i]!.reason === reason);
    if (score !== undefined && (low !== undefined || high !== undefined)) {
      const column = scores.find(({ name }) => name === score);
      if (column === undefined) throw new UsageError(`filter: no score is called "${score}".`);
      tests.push((i) => {
        const value = column.values[i]!;
        return value >= (low ?? Number.NEGATIVE_INFINITY) && value <= (high ?? Number.POSITIVE_INFINITY);
      });
    }
    return tests.length === 0 ? undefined : (i) => tests.every((test) => test(i));
  }

  private hasStatus(i: number, status: Status, reviewer: string): boolean {
    if (status === "all") return true;
    if (status === "conflicts") return isConflict(this.opinions(i));
    const mine = this.opinions(i).has(reviewer);
    return status === "mine" ? mine : !mine;
  }

  private message(i: number, reviewer: string, drawn: ItemMessage["drawn"], repeat: boolean): ItemMessage {
    const { items, scores } = this.set;
    const { id, row, caption, label, keep, reason } = items[i]!;
    const opinions = this.opinions(i);
    const mine = repeat ? undefined : opinions.get(reviewer);
    const same = row === undefined ? [] : (this.captionsOf.get(row) ?? []);
    return {
      item: i,
      row: row ?? null,
      key: id.key,
      source: id.source,
      caption,
      captions: same.filter((other) => other !== i).map((other) => items[other]!.caption),
      label: label ?? null,
      keep,
      reason: reason ?? null,
      scores: Object.fromEntries(
        scores.map(({ name, values }) => [name, Number.isNaN(values[i]!) ? null : values[i]!]),
      ),
      drawn,
      repeat,
      mine: mine === undefined ? null : opinionMessage(mine),
      others:
        mine === undefined
          ? []
          : [...opinions.values()].filter((each) => each.reviewer !== reviewer).map(opinionMessage),
    };
  }

  /** Groups of copies from the `from`-th on. */
  copies(reviewer: string, from: number): GroupsMessage {
    this.refresh();
    const groups = this.groups.slice(from, from + GROUPS_AT_ONCE).map((members, g) => ({
      group: from + g,
      members: members.map((i) => this.message(i, reviewer, "free", false)),
      answers: members.slice(1).map((i) => this.copyOpinions(members[0]!, i).get(reviewer)?.answer ?? null),
    }));
    const next = from + groups.length;
    return { groups, next: next < this.groups.length ? next : null };
  }

  copyOpinions(a: number, b: number): Opinions {
    const { items } = this.set;
    return this.standing.opinions(
      entityKey({ item: items[a]!.id, other: items[b]!.id, question: "duplicate" }),
    );
  }

  /** Takes a verdict down. Throws a `UsageError` for one that cannot be. */
  judge(reviewer: string, given: VerdictMessage): VerdictReply {
    const { items, scores } = this.set;
    const { item, other, answer, drawn, repeat, scoresShown } = given;
    const known = (i: number): boolean => Number.isInteger(i) && i >= 0 && i < items.length;
    if (!known(item) || (other !== undefined && (!known(other) || other === item))) {
      throw new UsageError(`verdict: there are items 0 … ${items.length - 1}; got ${item}, ${other}.`);
    }
    const isPair = other === undefined;
    if (answer !== "undecided" && isPair !== (answer === "keep" || answer === "drop")) {
      throw new UsageError(`verdict: a pair is kept or dropped, two are same or different; got ${answer}.`);
    }
    const corrected = answer === "keep" && isPair;
    const caption = corrected ? changed(given.correctedCaption, items[item]!.caption) : undefined;
    const label = corrected ? changed(given.correctedLabel, items[item]!.label) : undefined;
    const shown = scores.filter(({ values }) => !Number.isNaN(values[item]!));
    const verdict = makeVerdict({
      item: items[item]!.id,
      ...(other !== undefined && { other: items[other]!.id }),
      question: isPair ? "pair" : "duplicate",
      answer,
      ...(caption !== undefined && { correctedCaption: caption }),
      ...(label !== undefined && { correctedLabel: label }),
      reviewer,
      tool: `clipwright ${version()}`,
      ...(scoresShown === true && {
        shownScores: Object.fromEntries(shown.map(({ name, values }) => [name, values[item]!])),
      }),
      ...(isPair && { drawn: drawn ?? "free" }),
      ...(isPair && repeat === true && { repeat }),
    });
    this.log.append(verdict);
    this.refresh();
    return { item: this.message(item, reviewer, drawn ?? "free", false), progress: this.progress() };
  }

  /** Takes back the last verdict of a reviewer, by a further line. */
  undo(reviewer: string): UndoReply {
    this.refresh();
    const last = this.history.get(reviewer)?.at(-1);
    if (last === undefined) return { item: null, group: null, progress: this.progress() };
    const { id, back } = last;
    this.log.append(makeVerdict({ ...back, undoes: id, time: new Date().toISOString() }));
    this.refresh();
    const item = this.index.find(back.item)!;
    const other = back.other === undefined ? undefined : this.index.find(back.other);
    const group = other === undefined ? -1 : this.groups.findIndex((each) => each.includes(other));
    const message = this.message(item, reviewer, back.drawn ?? "free", back.repeat ?? false);
    return { item: message, group: group < 0 ? null : group, progress: this.progress() };
  }

  progress(): ProgressMessage {
    const { items } = this.set;
    let decided = 0;
    let conflicts = 0;
    for (let i = 0; i < items.length; i++) {
      const given = this.opinions(i);
      if (given.size === 0) continue;
      if (isConflict(given)) conflicts++;
      else if (this.handout.isDecided(i)) decided++;
    }
    const left = this.left();
    return {
      version: this.standing.version,
      items: items.length,
      decided,
      conflicts,
      reviewers: [...this.judged]
        .map(([name, judged]) => ({ name, verdicts: judged.size }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      left: left === undefined ? null : left,
      stopAt: this.stopAt,
      over: left !== undefined && left.high <= this.stopAt * left.unseen,
    };
  }

  /**
   * Faults among the items that nobody has judged. Items up to the last that priority has reached are no random sample
   * and do not count as audited; neither does what somebody looked for by a filter.
   */
  left(): FaultsLeft | undefined {
    const { items } = this.set;
    let frontier = -1;
    for (let i = 0; i < items.length; i++) {
      for (const { drawn } of this.opinions(i).values()) {
        if (drawn === "order") frontier = Math.max(frontier, this.rank[i]!);
      }
    }
    const strata = Array.from({ length: STRATA }, () => ({ unseen: 0, audited: 0, faults: 0 }));
    for (let i = 0; i < items.length; i++) {
      const stratum = strata[this.strata[i]!]!;
      const given = this.opinions(i);
      if (given.size === 0) stratum.unseen++;
      else if (this.rank[i]! > frontier && [...given.values()].some(({ drawn }) => drawn === "audit")) {
        stratum.audited++;
        if (isFault(items[i]!, given)) stratum.faults++;
      }
    }
    return faultsLeft(strata);
  }

  agreement(): AgreementMessage {
    this.refresh();
    return agreementMessage(reviewReport(this), this.set.items);
  }
}

const opinionMessage = ({ reviewer, answer, correctedCaption, correctedLabel }: Verdict): OpinionMessage => ({
  reviewer,
  answer,
  ...(correctedCaption !== undefined && { correctedCaption }),
  ...(correctedLabel !== undefined && { correctedLabel }),
});

/** A correction that says something else than what is there. */
function changed(text: string | undefined, was: string | undefined): string | undefined {
  const trimmed = text?.trim();
  return trimmed === undefined || trimmed === "" || trimmed === was ? undefined : trimmed;
}
