/**
 * Which of several processes this one is, from the variables that launchers set: torchrun (and Kubeflow's
 * training operator, which sets the same), Slurm's srun, Kubernetes' indexed Jobs, or Clipwright's own.
 */

import { UsageError } from "../core/errors.js";

export interface ProcessGroup {
  /** 0 … count − 1. Process 0 writes checkpoints and serves the store. */
  readonly index: number;
  readonly count: number;
  /** This process's place among those on its machine, where the launcher says it. */
  readonly localIndex: number | undefined;
  /** Where process 0 serves the store. */
  readonly host: string;
  readonly port: number;
  /** Where process 0 listens: an address or a name of this machine. Default `host`. */
  readonly listen: string;
  /** What the processes of one run have in common and others have not: who does not know it is not let in. */
  readonly token: string;
  /** Which launcher's variables were read. */
  readonly launcher: "clipwright" | "torchrun" | "slurm" | "kubernetes";
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the store listens when only a host is given. */
export const DEFAULT_PORT = 29611;

/**
 * The group that the environment describes; undefined for a process on its own. CLIPWRIGHT_PROCESS_ID,
 * CLIPWRIGHT_PROCESSES, CLIPWRIGHT_RENDEZVOUS (`host:port`), CLIPWRIGHT_LISTEN and CLIPWRIGHT_TOKEN go before what a
 * launcher says. Throws `UsageError` when the description is incomplete or contradicts itself.
 */
export function processGroup(env: Environment = process.env): ProcessGroup | undefined {
  const found = fromClipwright(env) ?? fromTorchrun(env) ?? fromSlurm(env) ?? fromKubernetes(env);
  if (found === undefined) return undefined;
  const count = env.CLIPWRIGHT_PROCESSES === undefined ? found.count : whole(env, "CLIPWRIGHT_PROCESSES");
  if (found.index >= count) {
    throw new UsageError(
      `processes: the index must lie below the count; got index=${found.index}, count=${count} (${found.launcher}). ` +
        "Check the launcher's variables.",
    );
  }
  if (count === 1) return undefined;
  const address = env.CLIPWRIGHT_RENDEZVOUS;
  const place = { ...found, ...(address === undefined ? {} : parseAddress(address)) };
  return {
    ...place,
    count,
    listen: env.CLIPWRIGHT_LISTEN || place.host,
    token: env.CLIPWRIGHT_TOKEN ?? found.token,
  };
}

function whole(env: Environment, name: string): number {
  const text = env[name];
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new UsageError(
      `processes: ${name} must be an integer of at least 0; got ${text ?? "none"}. Set it, or unset its siblings.`,
    );
  }
  return Number(text);
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(address);
  const port = match?.[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  if (match === null || port < 1 || port > 65535) {
    throw new UsageError(
      `processes: CLIPWRIGHT_RENDEZVOUS must be host or host:port; got ${address}. Name process 0's host.`,
    );
  }
  return { host: match[1]!, port };
}

/** What a launcher's variables give; where to listen is not among it. */
type Found = Omit<ProcessGroup, "listen">;

const optional = (env: Environment, name: string): number | undefined =>
  env[name] === undefined ? undefined : whole(env, name);

function fromClipwright(env: Environment): Found | undefined {
  if (env.CLIPWRIGHT_PROCESS_ID === undefined) return undefined;
  return {
    launcher: "clipwright",
    token: "",
    index: whole(env, "CLIPWRIGHT_PROCESS_ID"),
    count: whole(env, "CLIPWRIGHT_PROCESSES"),
    localIndex: optional(env, "LOCAL_RANK"),
    host: "127.0.0.1",
    port: DEFAULT_PORT,
  };
}

/** https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables */
function fromTorchrun(env: Environment): Found | undefined {
  if (env.RANK === undefined || env.WORLD_SIZE === undefined) return undefined;
  const count = whole(env, "WORLD_SIZE");
  if (count > 1 && env.MASTER_ADDR === undefined && env.CLIPWRIGHT_RENDEZVOUS === undefined) {
    throw new UsageError("processes: WORLD_SIZE needs MASTER_ADDR; got none. Set process 0's host in it.");
  }
  return {
    launcher: "torchrun",
    token: env.TORCHELASTIC_RUN_ID ?? "",
    index: whole(env, "RANK"),
    count,
    localIndex: optional(env, "LOCAL_RANK"),
    host: env.MASTER_ADDR ?? "127.0.0.1",
    // torchrun itself listens at MASTER_PORT.
    port: env.MASTER_PORT === undefined ? DEFAULT_PORT : whole(env, "MASTER_PORT") + 1,
  };
}

/** https://slurm.schedmd.com/srun.html, "output environment variables" */
function fromSlurm(env: Environment): Found | undefined {
  const nodes = env.SLURM_STEP_NODELIST ?? env.SLURM_JOB_NODELIST;
  if (env.SLURM_PROCID === undefined || env.SLURM_NTASKS === undefined || nodes === undefined)
    return undefined;
  return {
    launcher: "slurm",
    token: `${env.SLURM_JOB_ID}.${env.SLURM_STEP_ID ?? 0}`,
    index: whole(env, "SLURM_PROCID"),
    count: whole(env, "SLURM_NTASKS"),
    localIndex: optional(env, "SLURM_LOCALID"),
    host: firstSlurmNode(nodes),
    // Jobs that share a machine must not share a port: the job's number picks one of the upper 4096, as JAX does.
    port: 61440 + (whole(env, "SLURM_JOB_ID") % 4096),
  };
}

/** The first of `node[003-008,12],other`. */
export function firstSlurmNode(list: string): string {
  const match = /^([^[,]+)(?:\[([^\]]+)\])?([^,]*)/.exec(list);
  if (match === null) {
    throw new UsageError(
      `processes: SLURM_STEP_NODELIST must name nodes; got ${list}. Set CLIPWRIGHT_RENDEZVOUS.`,
    );
  }
  const [, head, numbers, tail] = match;
  return `${head}${numbers?.split(/[,-]/)[0] ?? ""}${tail ?? ""}`;
}

/** https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode */
function fromKubernetes(env: Environment): Found | undefined {
  if (env.JOB_COMPLETION_INDEX === undefined || env.CLIPWRIGHT_PROCESSES === undefined) return undefined;
  const count = whole(env, "CLIPWRIGHT_PROCESSES");
  if (count > 1 && env.CLIPWRIGHT_RENDEZVOUS === undefined) {
    throw new UsageError(
      "processes: an indexed Job needs CLIPWRIGHT_RENDEZVOUS; got none. Set it to pod 0's host name: JOB-0.SERVICE.",
    );
  }
  return {
    launcher: "kubernetes",
    token: "",
    index: whole(env, "JOB_COMPLETION_INDEX"),
    count,
    localIndex: 0,
    host: "127.0.0.1",
    port: DEFAULT_PORT,
  };
}
