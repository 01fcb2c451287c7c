/** Models by name: fetched from a server with the hub's layout, checked, kept, and used without it. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { modelsCommand } from "../src/cli/commands/models.js";
import { UsageError } from "../src/core/errors.js";
import { locateModel } from "../src/evaluate/model/locate.js";
import { pretrainedModels } from "../src/evaluate/pretrained/catalog.js";
import { cachedModel, type FetchOptions, fetchModel } from "../src/evaluate/pretrained/hub.js";
import { hubModelOf, localPath } from "../src/evaluate/pretrained/local.js";
import { completeClipConfig } from "../src/models/config/config.js";
import { findPreset } from "../src/models/presets/presets.js";
import { openWeights } from "../src/models/weights/open.js";
import { withPretrained } from "../src/train/recipe/pretrained.js";
import { scratchFolder } from "./data.helpers.js";
import { runWords } from "./support/command-line.js";
import { fixture } from "./support/fixture.js";

const scratch = scratchFolder();
const COMMIT = "a".repeat(40);
const REPOSITORY = "me/tiny-clip";

/** Files of the models that the server has. */
const repositories: Record<string, string> = {
  [REPOSITORY]: fixture("import/clip-square"),
  "me/shards": fixture("import/clip-quick"),
  "me/pickled": fixture("import/clip-gelu"),
  "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": fixture("embed"),
};
/** Kept where large files are: behind a redirect to another host. */
const isLarge = (name: string): boolean => /\.(safetensors|bin)$/.test(name);

const hex = (algorithm: string, ...parts: (string | Uint8Array)[]): string => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

interface Seen {
  readonly host: "hub" | "store";
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}
let seen: Seen[] = [];
/** What goes wrong with the store's next answers: bytes after which the connection ends. */
let cuts: number[] = [];
/** In place of the right hash. */
let wrongHash: string | undefined;
let needsToken: string | undefined;
let down = false;

const servers: Record<"hub" | "store", Server> = { hub: createServer(hub), store: createServer(store) };
const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function hub(request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(request.url!);
  seen.push({ host: "hub", method: request.method!, path, headers: request.headers });
  const answer = (status: number, headers: Record<string, string>, bytes?: Uint8Array) =>
    response.writeHead(status, headers).end(bytes);
  const parts = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url!)?.slice(1) ?? [];
  const [repository = "", revision = "", name = ""] = parts.map(decodeURIComponent);
  const folder = repositories[repository];
  if (down) request.socket.destroy();
  else if (repository === "me/old-name")
    answer(307, { location: request.url!.replace("old-name", "tiny-clip") });
  else if (folder === undefined) answer(401, { "x-error-code": "RepoNotFound" });
  else if (needsToken !== undefined && request.headers.authorization !== `Bearer ${needsToken}`)
    answer(403, { "x-error-code": "GatedRepo" });
  else if (!["main", COMMIT, "refs/pr/1"].includes(revision))
    answer(404, { "x-error-code": "RevisionNotFound" });
  else if (!existsSync(join(folder, name))) answer(404, { "x-error-code": "EntryNotFound" });
  else {
    const bytes = readFileSync(join(folder, name));
    const common = { "x-repo-commit": COMMIT };
    if (isLarge(name)) {
      const hash = wrongHash ?? hex("sha256", bytes);
      const location = `${addressOf(servers.store)}${request.url}`;
      answer(302, { ...common, "x-linked-etag": `"${hash}"`, location });
    } else {
      const etag = `"${hex("sha1", `blob ${bytes.length}\0`, bytes)}"`;
      const headers = { ...common, etag, "content-length": String(bytes.length) };
      answer(200, headers, request.method === "HEAD" ? undefined : bytes);
    }
  }
}

function store(request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(request.url!);
  seen.push({ host: "store", method: request.method!, path, headers: request.headers });
  const [, repository, , name] = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(request.url!)!;
  const bytes = readFileSync(join(repositories[repository!]!, name!));
  const etag = `"${bytes.length}-of-the-store"`;
  const { range } = request.headers;
  const from =
    range !== undefined && request.headers["if-range"] === etag
      ? Number(/^bytes=(\d+)-$/.exec(range)![1])
      : 0;
  response.writeHead(from > 0 ? 206 : 200, {
    etag,
    "content-length": String(bytes.length - from),
    ...(from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
  });
  const cut = cuts.shift();
  if (cut === undefined) response.end(bytes.subarray(from));
  else {
    response.write(bytes.subarray(from, from + cut));
    void arrived(name!, from + cut).then(() => response.destroy());
  }
}

/** Waits until so many bytes of the file are on the client's disk. */
async function arrived(name: string, bytes: number): Promise<void> {
  const isThere = () =>
    readdirSync(scratch, { recursive: true, encoding: "utf8" })
      .filter((path) => path.includes(`${name}.${process.pid}.`) && path.endsWith(".partial"))
      .some((path) => statSync(join(scratch, path), { throwIfNoEntry: false })?.size === bytes);
  while (bytes > 0 && !isThere()) await wait(5);
}

before(async () => {
  for (const server of Object.values(servers)) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  process.env.HF_ENDPOINT = `${addressOf(servers.hub)}/`;
});
after(() => {
  delete process.env.HF_ENDPOINT;
  for (const server of Object.values(servers)) {
    server.closeAllConnections();
    server.close();
  }
});
let caches = 0;
let options: FetchOptions & { cacheDir: string };
let told: string[] = [];
beforeEach(() => {
  told = [];
  const cacheDir = join(scratch, `cache-${caches++}`);
  options = { cacheDir, limits: { waitMs: 1, retries: 2 }, say: (line) => void told.push(line) };
});
afterEach(() => {
  [seen, cuts, wrongHash, needsToken, down] = [[], [], undefined, undefined, false];
  delete process.env.HF_TOKEN;
});

const refused = (body: () => unknown, message: RegExp) =>
  assert.rejects(
    async () => body(),
    (error) => {
      assert(error instanceof UsageError, String((error as Error).stack));
      assert.match(error.message, message);
      return true;
    },
  );
const fetched = (name: string) => seen.filter(({ host, path }) => host === "store" && path.endsWith(name));

describe("a model of the hub", () => {
  test("comes with all that it needs, once, and is used without the network afterwards", async () => {
    const progress: string[] = [];
    const folder = await fetchModel(
      { repository: REPOSITORY },
      { ...options, progress: ({ what, done, total }) => void progress.push(`${what} ${done}/${total}`) },
    );
    const wanted = ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"];
    assert.deepEqual(readdirSync(folder).sort(), [...wanted, "source.json", "tokenizer_config.json"].sort());
    for (const name of wanted)
      assert.deepEqual(readFileSync(join(folder, name)), readFileSync(join(repositories[REPOSITORY]!, name)));
    const size = readFileSync(join(folder, "model.safetensors")).length;
    assert.ok(progress.includes(`${REPOSITORY} model.safetensors ${size}/${size}`));
    const source = JSON.parse(readFileSync(join(folder, "source.json"), "utf8"));
    assert.deepEqual([source.commit, source.revision], [COMMIT, "main"]);
    assert.equal(
      source.files["model.safetensors"],
      hex("sha256", readFileSync(join(folder, "model.safetensors"))),
    );
    down = true;
    seen = [];
    assert.equal(await fetchModel({ repository: REPOSITORY }, options), folder);
    assert.equal(await fetchModel({ repository: REPOSITORY, revision: COMMIT }, options), folder);
    assert.deepEqual(seen, []);
    const located = await locateModel({ path: folder });
    assert.match(located.tokenizer, /tokenizer\.json$/);
    await refused(
      () => fetchModel({ repository: "me/shards" }, options),
      /me\/shards: .* cannot be reached .*HF_ENDPOINT/,
    );
  });

  test("shards by their index, vocab.json with its merges, PyTorch's weights where there are no others", async () => {
    const folder = await fetchModel({ repository: "me/shards" }, options);
    for (const name of ["vocab.json", "merges.txt"]) assert.ok(existsSync(join(folder, name)), name);
    using file = await openWeights(join(folder, "model.safetensors.index.json"));
    assert.ok(file.names.includes("visual.proj"));
    const other = await fetchModel({ repository: "me/pickled" }, options);
    assert.match((await locateModel({ path: other })).weights, /pytorch_model\.bin$/);
  });

  test("a cut transfer goes on where it was cut, in this try and in the next command", async () => {
    cuts = [1000, 20_000];
    const folder = await fetchModel({ repository: REPOSITORY }, options);
    assert.deepEqual(
      fetched("model.safetensors").map(({ headers }) => headers.range),
      [undefined, "bytes=1000-", "bytes=21000-"],
    );
    assert.deepEqual(
      readFileSync(join(folder, "model.safetensors")),
      readFileSync(join(repositories[REPOSITORY]!, "model.safetensors")),
    );
    assert.ok(
      told.some((line) => /trying again/.test(line)) && told.some((line) => /from byte 1000 on/.test(line)),
    );

    const other = { ...options, cacheDir: `${options.cacheDir}-2` };
    cuts = [5000, 1, 1];
    await refused(
      () => fetchModel({ repository: REPOSITORY }, other),
      /failed after 3 tries; .*Run it again later/,
    );
    assert.equal(cachedModel({ repository: REPOSITORY }, other.cacheDir), undefined);
    seen = [];
    await fetchModel({ repository: REPOSITORY }, other);
    assert.deepEqual(
      fetched("model.safetensors").map(({ headers }) => headers.range),
      ["bytes=5002-"],
    );
  });

  test("what a killed process left is taken over; what another is writing is not", async () => {
    const folder = join(options.cacheDir, "models", "me--tiny-clip", COMMIT);
    await fetchModel({ repository: REPOSITORY }, { ...options, cacheDir: `${options.cacheDir}-x` }); // for the folder's form
    const whole = readFileSync(join(repositories[REPOSITORY]!, "model.safetensors"));
    cuts = [3000, 1, 1];
    await refused(() => fetchModel({ repository: REPOSITORY }, options), /failed after/);
    const own = join(folder, `model.safetensors.${process.pid}.partial`);
    const note = JSON.parse(readFileSync(`${own}.json`, "utf8"));
    const asOf = (pid: number, bytes: number) => {
      const path = join(folder, `model.safetensors.${pid}.partial`);
      writeFileSync(path, whole.subarray(0, bytes));
      writeFileSync(`${path}.json`, JSON.stringify({ ...note, pid }));
      return path;
    };
    const dead = asOf(2 ** 22 + 1, 9000); // above any process's number
    const alive = asOf(process.ppid, 20_000);
    seen = [];
    await fetchModel({ repository: REPOSITORY }, options);
    assert.deepEqual(
      fetched("model.safetensors").map(({ headers }) => headers.range),
      ["bytes=9000-"],
    );
    assert.deepEqual([existsSync(dead), existsSync(own), existsSync(alive)], [false, false, true]);
    assert.deepEqual(readFileSync(join(folder, "model.safetensors")), whole);
  });

  test("another hash than the hub says is refused, and nothing of it is kept", async () => {
    wrongHash = "b".repeat(64);
    await refused(
      () => fetchModel({ repository: REPOSITORY }, options),
      /model\.safetensors: its hash must be b{64}; got [0-9a-f]{64}\. It was damaged on the way, or is another file/,
    );
    const kept = readdirSync(options.cacheDir, { recursive: true, encoding: "utf8" });
    assert.deepEqual(
      kept.filter((name) => /model\.safetensors/.test(name)),
      [],
    );
    wrongHash = undefined;
    await fetchModel({ repository: REPOSITORY }, options);
  });

  test("a token opens what is closed, and is told to the hub alone", async () => {
    needsToken = "hf_secret";
    await refused(
      () => fetchModel({ repository: REPOSITORY }, options),
      /asks for its terms to be accepted.*status 403.*HF_TOKEN/,
    );
    process.env.HF_TOKEN = "hf_secret";
    seen = [];
    await fetchModel({ repository: REPOSITORY }, options);
    assert.ok(
      seen
        .filter(({ host }) => host === "hub")
        .every(({ headers }) => headers.authorization === "Bearer hf_secret"),
    );
    assert.ok(fetched("model.safetensors").every(({ headers }) => headers.authorization === undefined));
  });

  test("a model that was renamed is found; one that is not there, or has no such revision, is refused", async () => {
    const folder = await fetchModel({ repository: "me/old-name" }, options);
    assert.ok(existsSync(join(folder, "model.safetensors")));
    await refused(
      () => fetchModel({ repository: "me/none" }, options),
      /hf-hub:me\/none: is not there, or is closed/,
    );
    await refused(
      () => fetchModel({ repository: REPOSITORY, revision: "v9" }, options),
      /has no revision v9/,
    );
    await fetchModel({ repository: REPOSITORY, revision: "refs/pr/1" }, options);
  });

  test("a server that is no hub, and an address that is none", async () => {
    process.env.HF_ENDPOINT = addressOf(servers.store).replace("http:", "ftp:");
    await refused(() => fetchModel({ repository: REPOSITORY }, options), /HF_ENDPOINT: must be an address/);
    const plain = createServer((_, response) => response.writeHead(200).end());
    plain.listen(0, "127.0.0.1");
    await once(plain, "listening");
    process.env.HF_ENDPOINT = addressOf(plain);
    await refused(() => fetchModel({ repository: REPOSITORY }, options), /must say which commit main is/);
    plain.close();
    process.env.HF_ENDPOINT = addressOf(servers.hub);
  });
});

describe("names of models", () => {
  test("hf-hub: with and without a revision, the catalog's, and paths", async () => {
    assert.deepEqual(hubModelOf("hf-hub:me/x"), { repository: "me/x", revision: undefined });
    assert.deepEqual(hubModelOf("hf-hub:me/x@v1"), { repository: "me/x", revision: "v1" });
    assert.deepEqual(hubModelOf("ViT-B-32/openai"), { repository: "timm/vit_base_patch32_clip_224.openai" });
    assert.equal(hubModelOf("runs/a"), undefined);
    assert.equal(await localPath("local-dir:runs/a"), "runs/a");
    for (const bad of ["hf-hub:x", "hf-hub:../x", "hf-hub:a/..", "hf-hub:a/b@", "hf-hub:a/b/c"])
      await refused(() => localPath(bad), /must be hf-hub:OWNER\/NAME/);
    await refused(
      () => localPath("ViT-B-32/laion2b_s34b_b79"),
      /Did you mean "ViT-B-32\/laion2b_s34b_b79k"\?/,
    );
  });

  test("of the catalog are open_clip's, with sizes that its own presets have", () => {
    for (const { name, parametersM, imageSize, repository } of pretrainedModels) {
      assert.match(repository, /^[\w.-]+\/[\w.-]+$/);
      const [model] = name.split("/") as [string];
      if (!model.startsWith("ViT-")) continue;
      assert.equal(completeClipConfig(findPreset(model).config).vision_cfg.image_size, imageSize);
      assert.ok(parametersM > 140 && parametersM < 160);
    }
  });

  test("are what a recipe starts from: with the model and tokenizer that came along", async () => {
    const recipe = await withPretrained(
      { trainData: "x", pretrained: "ViT-B-32/laion2b_s34b_b79k" },
      options,
    );
    assert.match(String(recipe.model), /open_clip_config\.json$/);
    assert.match(String(recipe.tokenizer), /bpe_simple_vocab_16e6\.txt\.gz$/);
    assert.equal(recipe.name, "CLIP-ViT-B-32-laion2B-s34B-b79K-tuned");
    assert.equal(recipe.pretrained, "ViT-B-32/laion2b_s34b_b79k");
    const given = { trainData: "x", pretrained: "hf-hub:me/none", model: "ViT-B-32", tokenizer: "t.json" };
    assert.equal(await withPretrained(given, options), given);
  });

  test("clipwright models --pretrained lists them, by a part of the name, for people and for scripts", async () => {
    const { out } = await runWords([modelsCommand], ["models", "--pretrained"]);
    for (const { name } of pretrainedModels) assert.ok(out.includes(name), name);
    assert.match(out, /ViT-B-32\/laion2b_s34b_b79k +151\.3 +66\.6 +mit +LAION-2B/);
    const { out: json } = await runWords([modelsCommand], ["models", "tiny", "--pretrained", "--json"]);
    assert.deepEqual(
      JSON.parse(json),
      pretrainedModels.filter(({ name }) => name.startsWith("TinyCLIP")),
    );
  });
});
