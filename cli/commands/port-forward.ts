import { once } from "node:events";
import { type AddressInfo, createServer, isIP, type Server, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { Command, InvalidArgumentError } from "commander";
import {
  ConsoleService,
  ForwardRequestSchema,
} from "../../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { callStream } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { failureLine } from "../failure.ts";
import { runningMachine } from "../running-machine.ts";

interface Flags {
  readonly bind: string;
  readonly address?: string;
}

interface Ports {
  /** Of this computer; 0 for any free one. */
  readonly local: number;
  /** Of the virtual machine. */
  readonly remote: number;
}

/** Where a connection leads. */
interface Target {
  readonly virtualMachineName: string;
  readonly address: string;
  readonly port: number;
}

export function portForwardCommand(cli: CliContext): Command {
  const command = new Command("port-forward")
    .description(
      "listen on ports of this computer, and join each connection to a port of a virtual machine, until Ctrl-C",
    )
    .argument("<name>")
    .argument(
      "<ports...>",
      "LOCAL:REMOTE, such as 8080:80; one number is both, and LOCAL 0 is any free port",
      (text: string, before: readonly Ports[] = []) => [...before, parsePorts(text)],
    )
    .option("--bind <ip>", "listen on this address of this computer", parseIp, "127.0.0.1")
    .option("--address <ip>", "one of the addresses of the virtual machine (default: the first)");
  withExamples(command, ["port-forward web-1 8080:80", "port-forward db-1 0:5432 9187"]);
  return command.action(async (name: string, ports: readonly Ports[], flags: Flags) => {
    await runningMachine(cli, name);
    const end = new AbortController();
    const release = cli.takeInterrupts(() => end.abort());
    const servers: Server[] = [];
    try {
      for (const { local, remote } of ports) {
        const { address = "" } = flags;
        const target = { virtualMachineName: name, address, port: remote };
        const join = (socket: Socket) => void joined(cli, socket, target, end.signal);
        const server = await listen(flags.bind, local, join);
        servers.push(server);
        const { port } = server.address() as AddressInfo;
        cli.io.stdout.print(`${hostPort(flags.bind, port)} -> ${name}:${remote}\n`);
      }
      if (!end.signal.aborted) await once(end.signal, "abort");
    } finally {
      end.abort();
      release();
      for (const server of servers) server.close();
    }
  });
}

async function listen(host: string, port: number, join: (socket: Socket) => void): Promise<Server> {
  // A client that has sent all still wants the answer.
  const server = createServer({ allowHalfOpen: true }, join);
  try {
    await once(server.listen(port, host), "listening");
    return server;
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason);
    const message = `cannot listen on ${hostPort(host, port)}: ${why}`;
    throw new CliError(message, EXIT.conflict, reason);
  }
}

/** Carries the bytes of one connection both ways. Each half ends on its own, as in TCP. */
async function joined(
  cli: CliContext,
  socket: Socket,
  target: Target,
  end: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const signal = AbortSignal.any([end, gone.signal]);
  socket.on("error", () => gone.abort()).on("close", () => gone.abort());
  try {
    const requests = sentMessages(socket, target);
    for await (const { data } of await callStream(
      cli,
      ConsoleService.method.forward,
      requests,
      signal,
    )) {
      if (!socket.write(data)) await once(socket, "drain", { signal });
    }
    socket.end();
  } catch (reason) {
    if (!signal.aborted) {
      const why = reason instanceof ConnectError ? failureLine(reason) : String(reason);
      cli.say(`${target.virtualMachineName}:${target.port}: ${why}`);
    }
    socket.resetAndDestroy();
  }
}

async function* sentMessages(socket: Socket, target: Target) {
  yield create(ForwardRequestSchema, target);
  const chunks: AsyncIterable<Uint8Array> = socket.iterator({ destroyOnReturn: false });
  for await (const data of chunks) yield create(ForwardRequestSchema, { data });
}

function parsePorts(text: string): Ports {
  const [, local, remote = local] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const ports = { local: Number(local), remote: Number(remote) };
  const isPort = (port: number, min: number) => port >= min && port <= 65535;
  if (isPort(ports.local, 0) && isPort(ports.remote, 1)) return ports;
  throw new InvalidArgumentError("LOCAL:REMOTE, such as 8080:80, of ports up to 65535");
}

function parseIp(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError("an IP address of this computer");
  return text;
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
