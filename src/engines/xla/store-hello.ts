/**
 * How the two ends of a connection show each other that they know a run's token without sending it: each makes up a
 * nonce, and answers the other's with its HMAC (RFC 2104). The server's nonce comes first; then the client's nonce and
 * proof; then the server's proof. What follows is neither encrypted nor signed: it is for networks that one trusts.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const NONCE_BYTES = 32;
const PROOF_BYTES = 32;
/** The longest body before both are known. */
export const HELLO_BYTES = NONCE_BYTES + PROOF_BYTES;
/** The answer to a proof that is wrong. */
export const NO_TOKEN = new Uint8Array();

export const nonce = (): Buffer => randomBytes(NONCE_BYTES);

/** What `who` shows, given the nonces of both. */
export const proofOf = (token: string, who: "client" | "server", server: Buffer, client: Buffer): Buffer =>
  createHmac("sha256", `clipwright store 1 ${token}`).update(who).update(server).update(client).digest();

export const sameProof = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

/** The server's proof, in answer to a client's nonce and proof; undefined where that is wrong. */
export function greet(token: string, own: Buffer, hello: Buffer): Buffer | undefined {
  if (hello.length !== HELLO_BYTES) return undefined;
  const client = hello.subarray(0, NONCE_BYTES);
  if (!sameProof(hello.subarray(NONCE_BYTES), proofOf(token, "client", own, client))) return undefined;
  return proofOf(token, "server", own, client);
}
