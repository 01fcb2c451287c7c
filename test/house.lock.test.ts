/** package-lock.json: what an installation fetches is held by its content, and from no particular address. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, "utf8")) as {
  packages: Readonly<Record<string, Locked>>;
};
const fetched = Object.entries(packages).filter(([path]) => path !== "");

test("every package has a SHA-512 of its content, those of other platforms too", () => {
  const without = fetched.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ""));
  assert.deepEqual(
    without.map(([path, { version }]) => `${path}@${version}`),
    [],
    "take each from: npm view NAME@VERSION dist.integrity",
  );
});

test("every platform's build of a package stands in it", () => {
  for (const [path, { optionalDependencies = {} }] of fetched) {
    for (const name of Object.keys(optionalDependencies)) {
      const places = [`${path}/node_modules/${name}`, `node_modules/${name}`];
      assert.ok(
        places.some((place) => place in packages),
        `${path} may need ${name}, which is not locked`,
      );
    }
  }
});

test("no entry names an address to download from", () => {
  const addressed = fetched.filter(([, { resolved }]) => resolved !== undefined);
  assert.deepEqual(
    addressed.map(([path]) => path),
    [],
    "remove what npm wrote into `resolved`",
  );
});
