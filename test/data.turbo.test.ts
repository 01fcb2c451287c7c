import assert from "node:assert/strict";
import { describe, test } from "node:test";
import sharp, { type JpegOptions } from "sharp";
import { keyFromSeed, Random } from "../src/core/random.js";
import { openDataset } from "../src/data/index.js";
import { evaluationBatches } from "../src/data/loading/evaluation.js";
import { evaluationPipeline } from "../src/data/pixels/pipeline.js";
import { decodeImage } from "../src/data/pixels/read/decode.js";
import { crop, type RawImage } from "../src/data/pixels/read/image.js";
import { ON_WHITE } from "../src/data/pixels/read/reading.js";
import { decodeTurbo, turboLibraries } from "../src/data/pixels/read/turbo.js";
import { picture, put, scratchFolder } from "./data.helpers.js";

const KINDS: Readonly<Record<string, JpegOptions>> = {
  "4:2:0": { chromaSubsampling: "4:2:0" },
  "4:4:4": { chromaSubsampling: "4:4:4" },
  progressive: { progressive: true },
  "worst quality": { quality: 1 },
};
const jpegOf = (options: JpegOptions, width = 141, height = 97): Promise<Buffer> =>
  picture(1, width, height).jpeg(options).toBuffer();

/** RGB through libvips, which is Pillow's: test/data.pictures.test.ts. */
async function sharpPixels(bytes: Uint8Array): Promise<RawImage> {
  const image = sharp(bytes, { failOn: "error" }).toColourspace("srgb").raw();
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels, data: new Uint8Array(data) };
}

const skip =
  turboLibraries(process.platform, process.arch).length > 0
    ? false
    : "the package has no library for this platform: all goes through sharp";

describe("decodeTurbo", () => {
  for (const [kind, options] of Object.entries(KINDS)) {
    test(`equals libvips to the bit, whole and in parts: ${kind}`, { skip }, async () => {
      const bytes = await jpegOf(options);
      const whole = await sharpPixels(bytes);
      assert.deepEqual(decodeTurbo(bytes), whole);
      const random = new Random(keyFromSeed(2));
      for (let i = 0; i < 40; i++) {
        const [width, height] = [1 + random.integer(whole.width), 1 + random.integer(whole.height)];
        const x = random.integer(whole.width - width + 1);
        const y = random.integer(whole.height - height + 1);
        const box = { x, y, width, height };
        const { box: within, ...part } = decodeTurbo(bytes, box)!;
        assert.deepEqual(crop(part, within!), crop(whole, box), JSON.stringify(box));
      }
    });
  }

  test("makes three channels of a grey JPEG", { skip }, async () => {
    const bytes = await picture(3).greyscale().jpeg().toBuffer();
    const data = await sharp(bytes).toColourspace("b-w").raw().toBuffer();
    const grey = decodeTurbo(bytes)!;
    assert.equal(grey.channels, 3);
    assert.deepEqual(
      grey.data.filter((_, i) => i % 3 === 1),
      new Uint8Array(data),
    );
  });

  test("takes no file that is cut or broken, nor one of inks", async () => {
    const bytes = await jpegOf({});
    assert.equal(decodeTurbo(bytes.subarray(0, bytes.length - 200)), undefined);
    assert.equal(decodeTurbo(bytes.subarray(0, 100)), undefined);
    const inks = await picture(1).toColourspace("cmyk").jpeg().toBuffer();
    assert.equal(decodeTurbo(inks), undefined);
  });

  test("knows where the libraries of a platform lie", () => {
    assert.deepEqual(turboLibraries("win32", "x64"), []);
    assert.equal(turboLibraries("linux", "x64").length, 2);
    assert.match(turboLibraries("darwin", "arm64")[0]!, /darwin-arm64/);
  });
});

describe("decodeImage of a JPEG", () => {
  test("that lacks bytes within is what libvips makes of it", async () => {
    const whole = await jpegOf({});
    const at = whole.length >> 1;
    const bytes = Buffer.concat([whole.subarray(0, at), whole.subarray(at + 40)]);
    const { data } = await decodeImage(bytes, ON_WHITE);
    assert.deepEqual(data, (await sharpPixels(bytes)).data);
  });

  test("that is cut says why it cannot be decoded", async () => {
    const bytes = await jpegOf({});
    await assert.rejects(
      decodeImage(bytes.subarray(0, bytes.length >> 1), ON_WHITE),
      /image: cannot be decoded \(.*premature end/i,
    );
  });

  test("is turned as its EXIF says where that is asked for, and only there", async () => {
    const bytes = await picture(4, 40, 30).jpeg().withMetadata({ orientation: 6 }).toBuffer();
    const size = async (orientation: "stored" | "exif"): Promise<number[]> => {
      const { width, height } = await decodeImage(bytes, { ...ON_WHITE, orientation });
      return [width, height];
    };
    assert.deepEqual(await size("stored"), [40, 30]);
    assert.deepEqual(await size("exif"), [30, 40]);
  });

  test("is the same in a worker", async () => {
    const folder = scratchFolder();
    const bytes = await picture(5, 32, 32).jpeg().toBuffer();
    put(folder, "a.jpg", bytes);
    put(folder, "a.txt", "a picture");
    const dataset = await openDataset(folder);
    const batches = evaluationBatches(dataset, {
      batchSize: 1,
      pipeline: evaluationPipeline(32),
      workers: 1,
    });
    for await (const { images } of batches) assert.deepEqual(images, (await sharpPixels(bytes)).data);
  });
});
