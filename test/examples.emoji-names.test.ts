import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IconSet } from "../examples/drawings/iconify.js";
import { catalogue, categoryName, hasSkinTone, humanName } from "../examples/emoji/names.js";

const drawn = { body: "<path/>" };

/** A set of the given icons, with whatever else the case is about. */
function set(prefix: string, icons: readonly string[], more: Partial<IconSet> = {}): IconSet {
  return {
    prefix,
    icons: Object.fromEntries(icons.map((icon) => [icon, drawn])),
    aliases: {},
    chars: {},
    categories: {},
    ...more,
  };
}

const titles = (drawings: ReturnType<typeof catalogue>["training"]) =>
  drawings.map((drawing) => `${drawing.set.prefix}:${drawing.icon} = ${drawing.thing.name}`);

describe("humanName", () => {
  it("writes hyphens as blanks", () => {
    assert.equal(humanName("grinning-face"), "grinning face");
    assert.equal(humanName("1st-place-medal"), "1st place medal");
  });

  it("gives the four spellings of a country's flag one name", () => {
    assert.equal(humanName("flag-for-mali"), "flag: mali");
    assert.equal(humanName("flag-for-flag-mali"), "flag: mali");
    assert.equal(humanName("flag-mali", "flags"), "flag: mali");
    assert.equal(humanName("flag-for-south-sudan"), "flag: south sudan");
  });

  it("leaves things alone that are called flags without being a country's", () => {
    assert.equal(humanName("flag-for-crossed-flags"), "crossed flags");
    assert.equal(humanName("flag-for-white-flag", "flags"), "white flag");
    assert.equal(humanName("flag-in-hole", "activities"), "flag in hole");
    assert.equal(humanName("chequered-flag", "flags"), "chequered flag");
  });
});

describe("hasSkinTone", () => {
  it("knows a tone by its name, wherever it stands", () => {
    for (const icon of [
      "boy-dark-skin-tone",
      "woman-medium-light-skin-tone-red-hair",
      "men-holding-hands-medium-skin-tone-dark-skin-tone",
      "love-you-gesture-tone1",
      "medium-dark-skin-tone",
    ])
      assert.equal(hasSkinTone(icon), true, icon);
  });

  it("knows a tone by its sequence where the name does not tell", () => {
    assert.equal(hasSkinTone("person-deaf-medium", "1f9cf-1f3fd"), true);
    assert.equal(hasSkinTone("person-deaf", "1f9cf"), false);
  });

  it("does not mistake other words for one", () => {
    for (const icon of ["high-voltage", "medium-black-square", "light-bulb", "stone", "ringtone"])
      assert.equal(hasSkinTone(icon), false, icon);
  });
});

describe("categoryName", () => {
  it("gives the spellings of the sets one", () => {
    for (const spelling of ["Animals & Nature", "Animals Nature", "Nature"])
      assert.equal(categoryName(spelling), "animals & nature");
    assert.equal(categoryName("People"), "people & body");
    assert.equal(categoryName("Food"), "food & drink");
  });

  it("keeps a category that only one set has", () => {
    assert.equal(categoryName("Extras Openmoji"), "extras openmoji");
  });
});

describe("catalogue", () => {
  it("joins drawings by their Unicode sequence and names the thing as most sets do", () => {
    const found = catalogue(
      [
        set("a", ["hugging-face"], { chars: { "1f917": "hugging-face" } }),
        set("b", ["smiling-face-with-open-hands"], { chars: { "1f917": "smiling-face-with-open-hands" } }),
        set("c", ["smiling-face-with-open-hands"], {
          chars: { "1F917-FE0F": "smiling-face-with-open-hands" },
        }),
      ],
      [],
    );
    assert.deepEqual(found.things, [
      { name: "smiling face with open hands", aliases: ["hugging face"], category: "other" },
    ]);
    assert.deepEqual(titles(found.training), [
      "a:hugging-face = smiling face with open hands",
      "b:smiling-face-with-open-hands = smiling face with open hands",
      "c:smiling-face-with-open-hands = smiling face with open hands",
    ]);
  });

  it("finds the sequence of a set that tells none by its names and aliases", () => {
    const found = catalogue(
      [
        set("told", ["enraged-face"], {
          chars: { "1f621": "enraged-face" },
          aliases: { "pouting-face": { parent: "enraged-face" } },
        }),
        set("by-other-alias", ["pouting-face"]),
        set("by-own-alias", ["red-angry-face"], {
          aliases: { "enraged-face": { parent: "red-angry-face" } },
        }),
        set("stranger", ["berber-flag"]),
      ],
      [],
    );
    assert.deepEqual(
      found.things.map(({ name, aliases }) => [name, ...aliases]),
      [["berber flag"], ["enraged face", "pouting face", "red angry face"]],
    );
  });

  it("leaves out skin tones, hidden icons, and nothing else", () => {
    const found = catalogue(
      [
        set("a", ["boy", "boy-dark-skin-tone", "old-boy", "girl-deaf-medium"], {
          icons: {
            boy: drawn,
            "boy-dark-skin-tone": drawn,
            "old-boy": { ...drawn, hidden: true },
            "girl-deaf-medium": drawn,
          },
          chars: { "1f466": "boy", "1f466-1f3ff": "boy-dark-skin-tone", "1f9cf-1f3fd": "girl-deaf-medium" },
        }),
      ],
      [],
    );
    assert.deepEqual(titles(found.training), ["a:boy = boy"]);
  });

  it("takes a mirrored alias for a drawing of its own, a plain one for a name", () => {
    const mirrored = set("a", ["hand-left"], {
      aliases: {
        "hand-right": { parent: "hand-left", hFlip: true },
        "hand-right-dark": { parent: "hand-left-dark-skin-tone", hFlip: true },
        "pointing-left": { parent: "hand-left" },
      },
      chars: { "1f448": "hand-left", "1f449": "hand-right" },
    });
    assert.deepEqual(titles(catalogue([mirrored], []).training), [
      "a:hand-left = hand left",
      "a:hand-right = hand right",
    ]);
    assert.deepEqual(catalogue([mirrored], []).things[0]!.aliases, ["pointing left"]);
  });

  it("prefers a public sequence to a private one of the same drawing", () => {
    const found = catalogue(
      [
        set("a", ["keyboard"], { chars: { "2328": "keyboard" } }),
        set("b", ["keys"], { chars: { e1d1: "keys", "2328": "keys" } }),
      ],
      [],
    );
    assert.equal(found.things.length, 1);
  });

  it("lets held-out sets add drawings, but neither names nor captions", () => {
    const found = catalogue(
      [set("seen", ["deaf-person"], { chars: { "1f9cf": "deaf-person" } })],
      [
        set("unseen", ["person-deaf", "sea-monster"], {
          chars: { "1f9cf": "person-deaf", "1f9ff": "sea-monster" },
        }),
        set("unseen-too", ["deaf-person"]),
      ],
    );
    assert.deepEqual(found.things, [{ name: "deaf person", aliases: [], category: "other" }]);
    assert.deepEqual(titles(found.training), ["seen:deaf-person = deaf person"]);
    assert.deepEqual(titles(found.heldOut), [
      "unseen:person-deaf = deaf person",
      "unseen-too:deaf-person = deaf person",
    ]);
    assert.deepEqual(found.unknown, ["unseen:sea-monster"]);
  });

  it("takes the category that most sets give, under one spelling", () => {
    const found = catalogue(
      [
        set("a", ["fox"], { categories: { Nature: ["fox"] } }),
        set("b", ["fox"], { categories: { "Animals & Nature": ["fox"] } }),
        set("c", ["fox"], { categories: { Objects: ["fox"] } }),
      ],
      [],
    );
    assert.equal(found.things[0]!.category, "animals & nature");
  });

  it("gives no two things one name", () => {
    const found = catalogue(
      [
        set("a", ["axe"], { chars: { "1fa93": "axe" } }),
        set("b", ["axe", "hatchet"], { chars: { e347: "axe", "1fa93": "hatchet" } }),
      ],
      [],
    );
    const names = found.things.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });
});
