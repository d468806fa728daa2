import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { deriveAgentToken } from "../../src/rpc/agent-token.ts";
import { until } from "../../src/util/until.ts";
import type { Case, Death } from "./cases.ts";
import type { Cluster } from "./cluster.ts";
import { readOnly } from "./disk.ts";
import { openTransactions } from "./look.ts";
import type { Tampering } from "./relay.ts";
import { call, must, type Request } from "./remote.ts";

const END_TIMEOUT_MS = 60_000;
/** Long enough for a call to be on its way, too short for the agent to have done it. */
const MIDDLE_MS = 20;
/** For a call to be on its way to an agent that does not answer. */
const FROZEN_MS = 300;
const RECONNECT_MS = 200;
/** For a passing obstacle: a step must fail, and its undo too. */
const WHILE_MS = 800;
/** For a disk of several MiB: writing must begin, and must not end. */
const ROOM_BYTES = 128 << 10;
const HOUR_MS = 3_600_000;

/** The API is held at the place of the case, in the middle of a call. */
export interface Held {
  readonly cluster: Cluster;
  readonly dying: Case;
  readonly client: AbortController;
  /** The answer of the call; never rejects. */
  readonly answer: Promise<unknown>;
  /** Lets the API go on. */
  release(): void;
}

type Harm = (held: Held) => Promise<void>;

/** Does the harm, and resolves when it is over. The caller restarts the servers that died. */
export const HARMS: Readonly<Partial<Record<Death, Harm>>> = {
  async agent({ cluster, release }) {
    await killAgents(cluster);
    release();
  },

  async "agent in the middle"({ cluster, release }) {
    release();
    await sleep(MIDDLE_MS);
    await killAgents(cluster);
  },

  async "agent frozen"({ cluster, client, dying, release }) {
    using _frozen = freeze(cluster);
    release();
    await sleep(FROZEN_MS);
    // The API gives up its call and begins to undo it. Then the agent goes on with the old call.
    client.abort();
    await untilUndoing(cluster, dying);
  },

  async "agent late"({ cluster, dying, release }) {
    using _frozen = freeze(cluster);
    release();
    // The API waits as long as for any agent.
    await untilUndoing(cluster, dying);
  },

  async QEMU({ cluster, release }) {
    for (const pid of await guestsOf(cluster)) killIfThere(pid);
    release();
  },

  async libvirtd({ cluster, release }) {
    cluster.libvirtd?.kill();
    release();
    await cluster.libvirtd?.answers();
    for (const relay of cluster.relays) {
      const asked = () => hasHypervisor(relay.port, deriveAgentToken(cluster.tokenFile.token));
      await until(asked, { timeoutMs: END_TIMEOUT_MS, what: "the agent's hypervisor" });
    }
  },

  async client({ client, release }) {
    client.abort();
    await sleep(MIDDLE_MS);
    release();
  },

  async cancelled({ cluster, answer, release }) {
    const cancelling = ofOpenTransactions(cluster, "CancelTransaction");
    await until(() => isDecided(cluster), {
      timeoutMs: END_TIMEOUT_MS,
      what: "the cancellation",
      everyMs: MIDDLE_MS,
    });
    release();
    await Promise.all([cancelling, answer]);
  },

  async "network cut"({ cluster, release }) {
    release();
    await sleep(MIDDLE_MS);
    using _mending = mendedAfter(cluster);
    for (const relay of cluster.relays) relay.cut();
    await sleep(WHILE_MS);
  },

  async "cut and retried"({ cluster, answer, release }) {
    release();
    await sleep(MIDDLE_MS);
    {
      using _mending = mendedAfter(cluster);
      for (const relay of cluster.relays) relay.cut();
      const endMs = performance.now() + WHILE_MS;
      while (performance.now() < endMs) await ofOpenTransactions(cluster, "RetryTransaction");
    }
    await ofOpenTransactions(cluster, "RetryTransaction");
    await answer;
    await atRest(cluster);
  },

  "answer lost": (held) => tampering(held, "lose the answer"),
  "called twice": (held) => tampering(held, "bring it twice"),

  async "called late"(held) {
    const { cluster, client } = held;
    await tampering(held, "keep", async () => {
      client.abort();
      await atRest(cluster);
      for (const relay of cluster.relays) await relay.bringAgain();
    });
  },

  async "disk full"({ cluster, answer, release }) {
    try {
      for (const disk of cluster.nodeDisks) disk.fill(ROOM_BYTES);
      release();
      await answer;
      // An undo needs no space.
      await atRest(cluster);
    } finally {
      for (const disk of cluster.nodeDisks) disk.empty();
    }
  },

  async "disk read-only"({ cluster, release }) {
    using disks = new DisposableStack();
    for (const { baseDirectory } of cluster.places) {
      disks.use(readOnly(join(baseDirectory, "volumes")));
    }
    release();
    await sleep(WHILE_MS);
  },

  async "datastore full"({ cluster, release }) {
    try {
      cluster.apiDisk?.fill(0);
      release();
      await sleep(WHILE_MS);
    } finally {
      cluster.apiDisk?.empty();
    }
  },

  async "clock forward"({ cluster, answer, release }) {
    cluster.setClock(HOUR_MS);
    release();
    await answer;
    await atRest(cluster);
  },
};

/** Resolves when no transaction is open. */
export async function atRest(cluster: Cluster): Promise<void> {
  const isAtRest = () => openTransactions(cluster).length === 0;
  await until(isAtRest, {
    timeoutMs: END_TIMEOUT_MS,
    what: "the end of all transactions",
    everyMs: 50,
  });
}

/** A refusal is an answer too: some of them cannot be cancelled. */
async function ofOpenTransactions(
  cluster: Cluster,
  method: "CancelTransaction" | "RetryTransaction",
): Promise<void> {
  const ids = openTransactions(cluster).map((key) => key.split("/")[1] ?? "");
  await Promise.all(
    ids.map((id) => call(cluster.endpoint, [`TransactionService/${method}`, { id }])),
  );
}

/** Cancels each open transaction, unless it is too far for that. */
async function isDecided(cluster: Cluster): Promise<boolean> {
  const request: Request = ["TransactionService/ListTransactions", { openOnly: true }];
  const { transactions = [] } = (await must(cluster.endpoint, request)) as {
    transactions?: { phase?: string; cancellation?: unknown }[];
  };
  return !transactions.some(
    ({ phase, cancellation }) => phase === "PHASE_RUNNING" && cancellation === undefined,
  );
}

/** Tampers with the next change for an agent, and then does `later`. */
async function tampering(
  { cluster, answer, release }: Held,
  how: Tampering,
  later = async () => {},
): Promise<void> {
  const { relays } = cluster;
  using _mending = mendedAfter(cluster);
  const count = () => relays.reduce((sum, { tampered }) => sum + tampered, 0);
  const before = count();
  let isAnswered = false;
  void answer.then(() => {
    isAnswered = true;
  });
  for (const relay of relays) relay.tamper(how);
  // The API must notice that its connections have ended before it makes the call.
  await sleep(RECONNECT_MS);
  release();
  const isOver = () => count() > before || isAnswered;
  await until(isOver, { timeoutMs: END_TIMEOUT_MS, what: "a change to tamper with" });
  if (count() === before) throw new Error("the step asked no agent for a change");
  await later();
  await answer;
  await atRest(cluster);
}

function mendedAfter({ relays }: Cluster): Disposable {
  return {
    [Symbol.dispose]: () => {
      for (const relay of relays) relay.mend();
    },
  };
}

/** Asks the agent itself. */
async function hasHypervisor(port: number, agentToken: string): Promise<boolean> {
  const method = "n0stack.agent.v1alpha1.ComputeAgentService/ListDomains";
  const answer = await fetch(`http://127.0.0.1:${port}/${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      connection: "close",
      authorization: `Bearer ${agentToken}`,
    },
    body: "{}",
  }).catch(() => undefined);
  await answer?.arrayBuffer();
  return answer?.ok === true;
}

async function killAgents({ agents }: Cluster): Promise<void> {
  for (const agent of agents) agent.signal("SIGKILL");
  for (const agent of agents) await agent.ended();
}

function freeze({ agents }: Cluster): Disposable {
  for (const agent of agents) agent.signal("SIGSTOP");
  return {
    [Symbol.dispose]: () => {
      for (const agent of agents) agent.signal("SIGCONT");
    },
  };
}

/** After the pivot nothing is undone, even if the client gives up. */
async function untilUndoing(cluster: Cluster, { place }: Case): Promise<void> {
  if (place.point === "before_act") {
    // A transaction that needs no agent commits in spite of it.
    const isOver = () => cluster.readTrace().some(({ point }) => /undo|after_commit/.test(point));
    await until(isOver, { timeoutMs: END_TIMEOUT_MS, what: "the unwind" });
  }
  // For the undo to be on its way, too.
  await sleep(FROZEN_MS);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    // It has ended by itself in the meantime.
  }
}

async function guestsOf({ places }: Cluster): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found: number[] = [];
  for (const pid of pids) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const isGuest = places.some(({ prefix }) => commandLine.includes(`guest=${prefix}`));
    if (isGuest) found.push(Number(pid));
  }
  return found;
}
