/** What the review page and its server say to each other, as JSON. Types alone: the page is compiled by itself. */

export type PageAnswer = "keep" | "drop" | "same" | "different" | "undecided";

/** GET api/set: what is reviewed. */
export interface SetMessage {
  readonly title: string;
  readonly items: number;
  readonly scores: readonly {
    readonly name: string;
    readonly about: string;
    readonly low: number;
    readonly high: number;
  }[];
  /** Reasons for which the selection drops pairs. */
  readonly reasons: readonly string[];
  /** Classes, the most frequent first; none where the data have none. */
  readonly classes: readonly string[];
  /** Groups of pairs taken for copies. */
  readonly groups: number;
}

/** A pair as it is shown. */
export interface ItemMessage {
  /** Its place in the review set. */
  readonly item: number;
  /** Its picture, at `picture/ROW`; null where the data lack it. */
  readonly row: number | null;
  readonly key: string;
  readonly source: string;
  readonly caption: string;
  /** Other captions of the same picture. */
  readonly captions: readonly string[];
  readonly label: string | null;
  readonly keep: boolean;
  readonly reason: string | null;
  readonly scores: Readonly<Record<string, number | null>>;
  readonly drawn: "audit" | "order" | "gold" | "free";
  readonly repeat: boolean;
  /** What this reviewer said; null when nothing, or when asked again. */
  readonly mine: OpinionMessage | null;
  /** What others said; empty until this reviewer has spoken. */
  readonly others: readonly OpinionMessage[];
}

export interface OpinionMessage {
  readonly reviewer: string;
  readonly answer: PageAnswer;
  readonly correctedCaption?: string;
  readonly correctedLabel?: string;
}

export type Status = "next" | "all" | "undecided" | "conflicts" | "mine";

/** GET api/items?status=…&text=…&reason=…&score=…&low=…&high=…&from=…&skip=… */
export interface ItemsMessage {
  readonly items: readonly ItemMessage[];
  /** `from` of the next request; null at the end. */
  readonly next: number | null;
  /** Items that the filter lets through; null for `next`. */
  readonly total: number | null;
}

/** Two or more pairs taken for copies; the first is what the others are compared with. */
export interface GroupMessage {
  readonly group: number;
  readonly members: readonly ItemMessage[];
  /** Of each member but the first, what this reviewer said. */
  readonly answers: readonly (PageAnswer | null)[];
}

/** GET api/groups?from=… */
export interface GroupsMessage {
  readonly groups: readonly GroupMessage[];
  readonly next: number | null;
}

/** POST api/verdicts */
export interface VerdictMessage {
  readonly item: number;
  /** The other of two that may be copies. */
  readonly other?: number | undefined;
  readonly answer: PageAnswer;
  readonly correctedCaption?: string | undefined;
  readonly correctedLabel?: string | undefined;
  readonly drawn?: "audit" | "order" | "gold" | "free" | undefined;
  readonly repeat?: boolean | undefined;
  readonly scoresShown?: boolean | undefined;
}

/** The answer to it: the item as it stands now. */
export interface VerdictReply {
  readonly item: ItemMessage;
  readonly progress: ProgressMessage;
}

/** POST api/undo: the item whose verdict was taken back, null where there was none; `group` where it was one of two copies. */
export interface UndoReply {
  readonly item: ItemMessage | null;
  readonly group: number | null;
  readonly progress: ProgressMessage;
}

/** GET api/progress */
export interface ProgressMessage {
  readonly version: number;
  readonly items: number;
  /** Items with as many verdicts as they need, and no conflict. */
  readonly decided: number;
  readonly conflicts: number;
  readonly reviewers: readonly { readonly name: string; readonly verdicts: number }[];
  /** Faults expected among what nobody has seen; null while too little was audited. */
  readonly left: {
    readonly value: number;
    readonly low: number;
    readonly high: number;
    readonly unseen: number;
    readonly audited: number;
  } | null;
  /** The share of the unseen below which the bound must lie for the review to be over, and whether it does. */
  readonly stopAt: number;
  readonly over: boolean;
}

/** GET api/agreement: tables as rows of cells, the first row their heading. */
export interface AgreementMessage {
  readonly sentences: readonly string[];
  readonly reviewers: readonly (readonly string[])[];
  readonly conflicts: readonly { readonly item: number; readonly key: string; readonly said: string }[];
}

/** What comes with a status of 400 or more. */
export interface TroubleMessage {
  readonly error: string;
}
