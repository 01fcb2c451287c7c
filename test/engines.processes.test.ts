/** Several processes: what launchers say, the store they share, and PJRT's callbacks into it. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { type AddressInfo, connect, createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import koffi from "koffi";
import { UsageError } from "../src/core/errors.js";
import type { Engine } from "../src/engines/engine.js";
import { type Processes, together } from "../src/engines/group.js";
import { memoryAt } from "../src/engines/native.js";
import { firstSlurmNode, processGroup } from "../src/engines/processes.js";
import { keyValueGet, keyValuePut, keyValueTryGet } from "../src/engines/xla/layout.js";
import { Block } from "../src/engines/xla/pjrt.js";
import { clientOptions } from "../src/engines/xla/platform.js";
import { Store } from "../src/engines/xla/store.js";
import { nonce, proofOf } from "../src/engines/xla/store-hello.js";
import { linkTo, serveStore } from "../src/engines/xla/store-wire.js";
import { xlaPlugin } from "./support/engines.js";

describe("processGroup", () => {
  test("a process on its own is in no group", () => {
    assert.equal(processGroup({}), undefined);
    assert.equal(processGroup({ RANK: "0", WORLD_SIZE: "1" }), undefined);
    assert.equal(
      processGroup({ SLURM_PROCID: "0", SLURM_NTASKS: "1", SLURM_JOB_NODELIST: "a", SLURM_JOB_ID: "1" }),
      undefined,
    );
  });

  test("torchrun's variables; its own port is left to it", () => {
    const env = {
      RANK: "3",
      WORLD_SIZE: "8",
      LOCAL_RANK: "1",
      MASTER_ADDR: "10.0.0.7",
      MASTER_PORT: "29500",
    };
    assert.deepEqual(processGroup(env), {
      launcher: "torchrun",
      index: 3,
      count: 8,
      localIndex: 1,
      host: "10.0.0.7",
      listen: "10.0.0.7",
      token: "",
      port: 29501,
    });
  });

  test("Slurm's variables", () => {
    const env = {
      SLURM_PROCID: "5",
      SLURM_NTASKS: "6",
      SLURM_LOCALID: "1",
      SLURM_STEP_NODELIST: "gpu[017-019],big",
      SLURM_JOB_ID: "8193",
    };
    assert.deepEqual(processGroup(env), {
      launcher: "slurm",
      index: 5,
      count: 6,
      localIndex: 1,
      host: "gpu017",
      listen: "gpu017",
      token: "8193.0",
      port: 61441,
    });
    assert.equal(firstSlurmNode("node7"), "node7");
    assert.equal(firstSlurmNode("n[3,5]-ib,n9"), "n3-ib");
  });

  test("an indexed Job of Kubernetes, and Clipwright's own variables", () => {
    const env = {
      JOB_COMPLETION_INDEX: "1",
      CLIPWRIGHT_PROCESSES: "2",
      CLIPWRIGHT_RENDEZVOUS: "train-0.svc:4000",
    };
    assert.deepEqual(processGroup(env), {
      launcher: "kubernetes",
      index: 1,
      count: 2,
      localIndex: 0,
      host: "train-0.svc",
      listen: "train-0.svc",
      token: "",
      port: 4000,
    });
    const own = { ...env, CLIPWRIGHT_PROCESS_ID: "0", CLIPWRIGHT_RENDEZVOUS: "[::1]:7" };
    assert.deepEqual(
      { ...processGroup(own), localIndex: 0 },
      {
        launcher: "clipwright",
        index: 0,
        count: 2,
        localIndex: 0,
        host: "::1",
        listen: "::1",
        token: "",
        port: 7,
      },
    );
  });

  test("where to listen and the token are the launcher's unless they are given", () => {
    const env = { RANK: "0", WORLD_SIZE: "2", MASTER_ADDR: "a", TORCHELASTIC_RUN_ID: "run7" };
    const of = (more: object) => {
      const { listen, token } = processGroup({ ...env, ...more })!;
      return [listen, token];
    };
    assert.deepEqual(of({}), ["a", "run7"]);
    assert.deepEqual(of({ CLIPWRIGHT_LISTEN: "0.0.0.0", CLIPWRIGHT_TOKEN: "s" }), ["0.0.0.0", "s"]);
  });

  test("what is missing or contradicts itself is named", () => {
    assert.throws(() => processGroup({ RANK: "2", WORLD_SIZE: "2", MASTER_ADDR: "a" }), /index=2, count=2/);
    assert.throws(() => processGroup({ RANK: "0", WORLD_SIZE: "2" }), /MASTER_ADDR/);
    assert.throws(
      () => processGroup({ RANK: "x", WORLD_SIZE: "2", MASTER_ADDR: "a" }),
      /RANK must be an integer/,
    );
    assert.throws(
      () => processGroup({ JOB_COMPLETION_INDEX: "0", CLIPWRIGHT_PROCESSES: "2" }),
      /CLIPWRIGHT_RENDEZVOUS/,
    );
  });
});

describe("clientOptions", () => {
  const shown = process.env.CUDA_VISIBLE_DEVICES;
  after(() => {
    if (shown === undefined) delete process.env.CUDA_VISIBLE_DEVICES;
    else process.env.CUDA_VISIBLE_DEVICES = shown;
  });

  test("each platform gets the options that it knows", () => {
    delete process.env.CUDA_VISIBLE_DEVICES;
    assert.deepEqual(clientOptions("/a/xla_cpu_pjrt.so", { devices: 4 }), { cpu_device_count: 4 });
    assert.deepEqual(clientOptions("/a/libtpu.so", { devices: 1 }), {});
    assert.deepEqual(clientOptions("/a/xla_cuda_plugin.so", { devices: 2, fraction: 0.9 }), {
      platform_name: "cuda",
      visible_devices: [0, 1],
      memory_fraction: { float: 0.9 },
    });
  });

  test("processes on one machine take different GPUs, unless each is shown only its own", () => {
    const processes = { index: 5, count: 8, localIndex: 1 };
    const of = () => clientOptions("xla_cuda_plugin.so", { devices: 2, processes });
    assert.deepEqual(of(), { platform_name: "cuda", visible_devices: [2, 3], node_id: 5, num_nodes: 8 });
    process.env.CUDA_VISIBLE_DEVICES = "6,7";
    assert.deepEqual(of().visible_devices, [0, 1]);
    process.env.CUDA_VISIBLE_DEVICES = "0,1,2,3";
    assert.deepEqual(of().visible_devices, [2, 3]);
  });
});

describe("together", () => {
  test("a process on its own has the engine, number 0, and nobody to wait for", async () => {
    const result = await together("onnxruntime", async ({ index, count, openEngine, share }) => {
      const engine = await openEngine("onnxruntime", { threads: 1 });
      return [engine.name, index, count, await share("alone", () => 7)];
    });
    assert.deepEqual(result, ["onnxruntime", 0, 1, 7]);
  });

  test("an engine that cannot join processes refuses to run beside itself", async () => {
    const place = processGroup({ RANK: "1", WORLD_SIZE: "2", MASTER_ADDR: "127.0.0.1" });
    await assert.rejects(
      together("onnxruntime", async () => {}, { place }),
      /runs in one process; got process 1 of 2, by torchrun's variables/,
    );
  });

  test("what a device says while it is closed does not hide why it failed", async () => {
    const open = async () =>
      ({
        async [Symbol.asyncDispose]() {
          throw new Error("the device is gone");
        },
      }) as unknown as Engine;
    const work = async ({ openEngine }: Processes) => {
      await openEngine("onnxruntime");
      throw new UsageError("the first");
    };
    await assert.rejects(together("onnxruntime", work, { open }), { message: "the first" });
  });
});

/** A port that is free now. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

const native = koffi.proto("void *StoreCallback(void *args)");
const freeProto = koffi.proto("void StoreFree(void *memory)");
const errorCallback = koffi.pointer(
  koffi.proto("void *StoreError(int code, const char *message, size_t size)"),
);

describe("Store", () => {
  let store: Store;
  let other: Store;
  let address: number;
  const bytes = (...values: number[]) => Uint8Array.from(values);

  before(async () => {
    address = await freePort();
    const at = { host: "127.0.0.1", port: address, count: 2 };
    [store, other] = await Promise.all([Store.join({ ...at, index: 0 }), Store.join({ ...at, index: 1 })]);
  });
  after(async () => {
    await other[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });

  test("a read waits for the write of another process", async () => {
    const reading = other.get("later", 5000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await store.put("later", bytes(0, 255, 7));
    assert.deepEqual(await reading, bytes(0, 255, 7));
  });

  test("a read that waits in vain says so", async () => {
    await assert.rejects(store.get("never", 30), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, /must write never/);
      return true;
    });
  });

  test("values of a megabyte go through", async () => {
    const large = Uint8Array.from({ length: 1 << 20 }, (_, i) => i % 251);
    await other.put("large", large);
    assert.deepEqual(await store.get("large", 1000), large);
  });

  test("a barrier is left when all have come", async () => {
    const order: string[] = [];
    const first = store.barrier("b", 5000).then(() => order.push("left"));
    await new Promise((resolve) => setTimeout(resolve, 30));
    order.push("second comes");
    await Promise.all([first, other.barrier("b", 5000)]);
    assert.deepEqual(order, ["second comes", "left"]);
  });

  test("a will is put when its process goes away, unless it is withdrawn or said before", async () => {
    const mortal = await Store.join({ index: 1, count: 2, host: "127.0.0.1", port: address });
    await mortal.will("gone", bytes(1));
    await mortal.will("gone", bytes(2));
    await mortal.put("kept", bytes(3));
    await mortal.remove("kept");
    const waiting = store.get("gone", 5000);
    await mortal[Symbol.asyncDispose]();
    assert.deepEqual(await waiting, bytes(2));
    await assert.rejects(store.get("kept", 10), /must write kept/);
    const calm = await Store.join({ index: 1, count: 2, host: "127.0.0.1", port: address });
    await calm.will("withdrawn", bytes(4));
    await calm.will("withdrawn");
    await calm[Symbol.asyncDispose]();
    await assert.rejects(store.get("withdrawn", 50), /must write withdrawn/);
  });

  test("nobody at the address, and a port that is taken", async () => {
    const port = await freePort();
    await assert.rejects(Store.join({ index: 1, count: 2, host: "127.0.0.1", port }, 300), /must answer at/);
    const taken = createServer().listen(port);
    await assert.rejects(
      Store.join({ index: 0, count: 2, host: "127.0.0.1", port }, 300),
      /must be able to listen/,
    );
    taken.close();
  });

  test("who has another token is not let in, in either direction", async () => {
    const at = { host: "127.0.0.1", port: await freePort(), count: 2 };
    const served = await Store.join({ ...at, index: 0, token: "one" });
    await assert.rejects(
      Store.join({ ...at, index: 1, token: "two" }, 5000),
      /another token.*CLIPWRIGHT_TOKEN/,
    );
    await assert.rejects(Store.join({ ...at, index: 1 }, 5000), /another token/);
    await served.put("still", bytes(1));
    await served[Symbol.asyncDispose]();
  });

  test("strangers' bytes end their own connection and nothing else", async () => {
    const own = await Store.join({ index: 1, count: 2, host: "127.0.0.1", port: address });
    const words: Uint8Array[] = [
      bytes(0, 0, 0, 0), // an empty frame
      bytes(255, 255, 255, 255), // a frame of 4 GB
      bytes(65, 0, 0, 0), // one byte more than a hello
      Buffer.concat([bytes(64, 0, 0, 0), new Uint8Array(64)]), // a hello with a wrong proof
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    ];
    await Promise.all(
      words.map(
        (sent) =>
          new Promise<void>((resolve, reject) => {
            const socket = connect(address, "127.0.0.1", () => socket.write(sent));
            socket.on("error", () => {});
            socket.on("data", () => {});
            socket.on("close", () => resolve());
            setTimeout(() => reject(new Error(`${sent} was not answered by an end`)), 5000).unref();
          }),
      ),
    );
    await own.put("after", bytes(5));
    assert.deepEqual(await store.get("after", 1000), bytes(5));
    await own[Symbol.asyncDispose]();
  });

  test("requests that are none end the connection of whoever knows the token", async () => {
    const server = await serveStore("127.0.0.1", await freePort(), "t");
    const { port } = server.address() as AddressInfo;
    for (const sent of [
      bytes(0, 0, 0, 0),
      Buffer.concat([bytes(13, 0, 0, 0), bytes(0, 0, 0, 0, 9), new Uint8Array(8)]), // no such kind
      Buffer.concat([bytes(13, 0, 0, 0), bytes(0, 0, 0, 0, 1, 0, 0, 0, 0, 255, 0, 0, 0)]), // a key beyond its end
    ]) {
      const socket = connect(port, "127.0.0.1");
      const own = nonce();
      let frames = 0;
      await new Promise<void>((resolve) => {
        socket.on("data", (data) => {
          if (frames++ > 0) return void socket.write(sent);
          const proof = proofOf("t", "client", data.subarray(4, 36), own);
          socket.write(Buffer.concat([bytes(64, 0, 0, 0), own, proof]));
        });
        socket.on("close", () => resolve());
      });
      assert.equal(frames, 2, "it was let in before it was ended");
    }
    const link = await linkTo({ host: "127.0.0.1", port, token: "t", timeoutMs: 1000 });
    await link.ask("put", "k", bytes(1), 0);
    link.close();
    server.close();
  });

  test("it listens at the address that is asked for, and only there", async () => {
    const server = await serveStore("127.0.0.1", await freePort(), "");
    assert.equal((server.address() as AddressInfo).address, "127.0.0.1");
    server.close();
    await assert.rejects(
      serveStore("192.0.2.1", await freePort(), ""),
      /port \d+ of 192\.0\.2\.1.*CLIPWRIGHT_LISTEN/,
    );
  });

  /** Calls a callback as PJRT does, on another thread; gives what it left, and the errors that it made. */
  async function call(which: "get" | "put" | "tryGet", key: string, fields: (args: Block) => void) {
    const made: { code: number; message: string }[] = [];
    const maker = koffi.register((code: number, message: string) => {
      made.push({ code, message });
      return 0xdeadn;
    }, errorCallback);
    const holder = new Block(8).word(0, maker);
    const name = Buffer.from(key);
    const args = new Block(80).word(16, Uint8Array.from(name)).word(24, name.length);
    const errorAt = { get: keyValueGet, put: keyValuePut, tryGet: keyValueTryGet }[which].error;
    args.word(errorAt, holder);
    fields(args);
    const callback = koffi.decode(store.callbacks[which], native);
    const result = await new Promise((resolve, reject) => {
      callback.async(args.memory, (failed: Error | null, value: unknown) =>
        failed ? reject(failed) : resolve(value),
      );
    });
    koffi.unregister(maker);
    return { args, result, made };
  }

  const read = (args: Block, at: { value: number; valueSize: number; free: number }) => {
    const pointer = args.readWord(at.value);
    const copy = new Uint8Array(memoryAt(pointer, Number(args.readWord(at.valueSize)))).slice();
    koffi.call(args.readWord(at.free), freeProto, pointer);
    return copy;
  };

  test("PJRT's callbacks put, get and try", async () => {
    const value = bytes(1, 2, 0, 3);
    const put = await call("put", "k", (args) =>
      args.word(keyValuePut.value, value).word(keyValuePut.valueSize, 4),
    );
    assert.equal(put.result, null);
    assert.deepEqual(await other.get("k", 1000), value);
    const got = await call("get", "k", (args) => args.int(keyValueGet.timeoutMs, 1000));
    assert.equal(got.result, null);
    assert.deepEqual(read(got.args, keyValueGet), value);
    const tried = await call("tryGet", "k", () => {});
    assert.deepEqual(read(tried.args, keyValueTryGet), value);
  });

  test("PJRT's read that waits does not keep its write from being answered", async () => {
    const reading = call("get", "own", (args) => args.int(keyValueGet.timeoutMs, 5000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await call("put", "own", (args) => args.word(keyValuePut.value, bytes(9)).word(keyValuePut.valueSize, 1));
    assert.deepEqual(read((await reading).args, keyValueGet), bytes(9));
  });

  test("what is missing becomes an error by PJRT's own maker", async () => {
    const tried = await call("tryGet", "nothing", () => {});
    assert.deepEqual(tried.made, [{ code: 5, message: "no nothing" }]);
    assert.equal(tried.result, 0xdeadn);
    const waited = await call("get", "nothing", (args) => args.int(keyValueGet.timeoutMs, 20));
    assert.deepEqual(waited.made, [{ code: 4, message: "no nothing within 20 ms" }]);
  });
});

test("two processes meet as torchrun would start them; a plugin that cannot join them is refused with words", async () => {
  const port = await freePort();
  const found = xlaPlugin();
  const member = fileURLToPath(new URL("./support/member.js", import.meta.url));
  const run = (index: number) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const env = {
        ...process.env,
        RANK: String(index),
        WORLD_SIZE: "2",
        LOCAL_RANK: String(index),
        MASTER_ADDR: "127.0.0.1",
        MASTER_PORT: String(port - 1),
      };
      const child = spawn(process.execPath, [member, ...("path" in found ? [found.path] : [])], { env });
      let out = "";
      let problems = "";
      child.stdout.on("data", (text) => (out += text));
      child.stderr.on("data", (text) => (problems += text));
      child.on("close", (status) =>
        status === 0 ? resolve(JSON.parse(out)) : reject(new Error(`${status}: ${problems}`)),
      );
    });
  const results = await Promise.all([run(0), run(1)]);
  results.forEach((result, index) => {
    assert.equal(result.index, index);
    assert.equal(result.launcher, "torchrun");
    assert.deepEqual(result.names, ["process 0", "process 1"]);
    if ("path" in found && found.path.includes("cpu")) {
      assert.match(
        String(result.engine),
        /must join the devices of 2 processes, 2 in all; it found 1 \(cpu\)/,
      );
    }
  });
});
