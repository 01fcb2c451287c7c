/** What an ONNX model's bytes hold: the nodes of its graph, read field by field (protobuf.dev, "Encoding"; onnx.proto). */

export interface OnnxNode {
  /** E.g. `MatMul`. */
  readonly type: string;
  /** Empty: ONNX's own. */
  readonly domain: string;
}

const GRAPH_OF_MODEL = 7;
const NODE_OF_GRAPH = 1;
const TYPE_OF_NODE = 4;
const DOMAIN_OF_NODE = 7;

export const onnxNodes = (model: Uint8Array): OnnxNode[] =>
  messages(model, GRAPH_OF_MODEL)
    .flatMap((graph) => messages(graph, NODE_OF_GRAPH))
    .map((node) => ({ type: text(node, TYPE_OF_NODE), domain: text(node, DOMAIN_OF_NODE) }));

const text = (message: Uint8Array, field: number): string =>
  Buffer.from(messages(message, field)[0] ?? []).toString();

/** The bytes of each field of that number that has a length. */
function messages(message: Uint8Array, field: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  const varint = (): number => {
    let [value, scale] = [0, 1];
    for (let more = true; more; scale *= 128) {
      const byte = message[at++]!;
      value += (byte & 127) * scale;
      more = byte >= 128;
    }
    return value;
  };
  while (at < message.length) {
    const tag = varint();
    const kind = tag & 7;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else {
      const length = varint();
      if (tag >> 3 === field) found.push(message.subarray(at, at + length));
      at += length;
    }
  }
  return found;
}
