import type { Dice } from "../../sim/dice.ts";
import { newDice } from "../../sim/dice.ts";
import { type Arena, type Attack, untilOver } from "../attack.ts";
import { damaged } from "../damage.ts";
import { EXAMPLES } from "../examples.ts";
import type { HttpClient, RawRequest } from "../http.ts";
import { newHttpClient } from "../http.ts";
import { encoded, randomMessage } from "../messages.ts";
import { asCurl, smallest } from "../replay.ts";
import { pathOf, type Victim, victims } from "../services.ts";
import type { TargetName } from "../target.ts";
import { codeOf, framed, WAYS, type Way } from "../wire.ts";

const WIDTH = 16;
const CALL_TIMEOUT_MS = 3_000;
/** A stream sends its first messages at once. Then the client leaves. */
const STREAM_TIMEOUT_MS = 300;
/** Codes that are the server's fault, for any request. */
const FAULTS = ["internal", "unknown", "data_loss"];

export interface Case {
  readonly victim: Victim;
  readonly way: Way;
  /** Such as "cut"; empty for an undamaged message. */
  readonly how: string;
  readonly request: RawRequest;
}

/** Every method of every service, over every protocol, with correct, strange and damaged messages. */
export const fuzz: Attack = {
  name: "fuzz",
  weight: 6,
  async run(arena, round) {
    const all = await victims();
    const clients = new Map<TargetName, HttpClient>();
    for (const { name, url } of Object.values(arena.targets)) clients.set(name, newHttpClient(url));
    // Each request has its own dice, so that each can be repeated alone.
    const salt = round.dice.below(2 ** 31);
    const count = await untilOver(round, WIDTH, async (index) => {
      const made = caseOf(all, newDice(`${salt} ${index}`));
      if (made !== undefined) await attack(arena, clients.get(made.victim.target)!, made);
    });
    for (const client of clients.values()) client.close();
    return count;
  },
};

function caseOf(all: readonly Victim[], dice: Dice): Case | undefined {
  const victim = dice.pick(all);
  const { method } = victim;
  const way = dice.pick(WAYS);
  const isStream = method.methodKind !== "unary";
  const messages = Array.from({ length: isStream ? dice.below(4) : 1 }, () =>
    encoded(method.input, randomMessage(method.input, dice, EXAMPLES[method.name]), way.encoding),
  );
  if (messages.some((message) => message === undefined)) return undefined;
  const whole = messages as Uint8Array[];
  const { how, sent } = dice.chance(0.4) ? damageLast(whole, way, dice) : { how: "", sent: whole };
  const timeoutMs = isStream ? STREAM_TIMEOUT_MS : CALL_TIMEOUT_MS;
  const framing = { isStream, isGzip: dice.chance(0.1), timeoutMs };
  const { headers, body } = framed(way, sent, framing);
  const request = { method: "POST", path: pathOf(method), headers, body, timeoutMs: timeoutMs * 2 };
  return { victim, way, how, request: oddly(request, dice) };
}

function damageLast(messages: readonly Uint8Array[], way: Way, dice: Dice) {
  const { how, bytes } = damaged(messages.at(-1) ?? new Uint8Array(), way.encoding, dice);
  return { how, sent: [...messages.slice(0, -1), bytes] };
}

/** Sometimes the envelope or a header is wrong too. */
function oddly(request: RawRequest, dice: Dice): RawRequest {
  if (dice.chance(0.9)) return request;
  const headers: Record<string, string> = dice.pick([
    { "idempotency-key": dice.pick(["", "k", "k".repeat(300), "k".repeat(8000)]) },
    { "connect-timeout-ms": dice.pick(["-1", "1e9", "99999999999", "x"]) },
    { "grpc-timeout": dice.pick(["1n", "99999999H", "1", "x"]) },
    { "content-encoding": "br", "grpc-encoding": "zstd", "connect-content-encoding": "x" },
    {
      "content-type": dice.pick([
        "text/plain",
        'application/grpc;q="',
        "application/json;charset=x",
      ]),
    },
    { "n0-request-id": "x".repeat(4000), "x-forwarded-for": "1.2.3.4" },
  ]);
  const cut = dice.chance(0.3) ? request.body.subarray(0, dice.below(6)) : request.body;
  return { ...request, headers: { ...request.headers, ...headers }, body: cut };
}

async function attack(arena: Arena, client: HttpClient, made: Case): Promise<void> {
  const { victim, way, how } = made;
  const target = arena.targets[victim.target];
  const authorized = { authorization: `Bearer ${target.token}` };
  const send = async (request: RawRequest): Promise<string | undefined> => {
    const headers = { ...request.headers, ...authorized };
    const answer = await client.send(way.http, { ...request, headers });
    if (answer === "timed out") return undefined;
    if ("broke" in answer) return undefined;
    const code = codeOf(way, victim.method.methodKind !== "unary", answer);
    if (code !== undefined) return FAULTS.includes(code) ? code : undefined;
    // 505 says that a stream in both directions needs HTTP/2.
    return answer.status >= 500 && answer.status !== 505 ? `HTTP ${answer.status}` : undefined;
  };
  const code = await send(made.request);
  if (code === undefined) return;
  // A damaged message does not depend on the method: one finding for all methods that got it.
  const kind = victim.method.methodKind === "unary" ? "a call" : "a stream";
  const about = how === "" ? made.request.path : `${kind} whose message is damaged: ${how}`;
  const fault = `${code} from ${target.name} for ${about}`;
  if (!arena.findings.isNew(fault)) return arena.findings.add({ fault, seen: "again" });
  // At once, so that findings that come in the meantime are not reduced too.
  const small = await smallest(made.request, async (smaller) => (await send(smaller)) === code);
  arena.findings.add({
    fault,
    seen: `over ${way.protocol}, ${way.encoding}, HTTP/${way.http}`,
    again: asCurl(target.url, way, small),
  });
}
