import { existsSync } from "node:fs";
import { z } from "zod";
import { N0Error } from "../../../util/errors.ts";
import { CommandError, type RunCommand } from "../../command/run-command.ts";

/** Far more than any of these takes on a node that is well. */
const COMMAND_TIMEOUT_MS = 20_000;

const addressSchema = z.object({
  family: z.string(),
  local: z.string(),
  prefixlen: z.number(),
  scope: z.string().optional(),
});

const linkSchema = z.object({
  ifindex: z.number(),
  ifname: z.string(),
  /** The index of the other end of a veth, in the namespace of that end. */
  link_index: z.number().optional(),
  flags: z.array(z.string()),
  master: z.string().optional(),
  group: z.string().optional(),
  ifalias: z.string().optional(),
  addr_info: z.array(addressSchema.partial()).optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z.looseObject({ group: z.union([z.number(), z.string()]).optional() }).optional(),
    })
    .optional(),
});

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly peerIndex: number | undefined;
  readonly flags: readonly string[];
  readonly master: string | undefined;
  readonly kind: string | undefined;
  readonly group: number;
  /** The group that may open a tap, which is there from its making. */
  readonly tunGroup: number | undefined;
  readonly alias: string | undefined;
  /** With their prefix length; those that the kernel made for the link itself are left out. */
  readonly addresses: readonly string[];
}

/** iproute2 on this node, in its own namespace or in a named one. */
export interface Ip {
  links(netns: string | undefined, signal: AbortSignal): Promise<readonly Link[]>;
  link(netns: string | undefined, name: string, signal: AbortSignal): Promise<Link | undefined>;
  /** IPv4 destinations of all routing tables but the default ones. */
  routes(signal: AbortSignal): Promise<readonly string[]>;
  /** Runs the lines in one process. Not atomic: it stops at the first that fails. */
  batch(netns: string | undefined, lines: readonly string[], signal: AbortSignal): Promise<void>;
  netns(verb: "add" | "delete", netns: string, signal: AbortSignal): Promise<void>;
}

export function newIp(run: RunCommand): Ip {
  const ip = async (
    netns: string | undefined,
    args: readonly string[],
    signal: AbortSignal,
    input?: string,
  ) => {
    const inside = netns === undefined ? [] : ["-netns", netns];
    const options = {
      timeoutMs: COMMAND_TIMEOUT_MS,
      signal,
      ...(input === undefined ? {} : { input }),
    };
    try {
      return await run("ip", [...inside, ...args], options);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof CommandError && error.killed)) throw error;
      throw new N0Error(
        "deadline_exceeded",
        "the node's network did not answer in time: try again",
        {
          cause: error,
        },
      );
    }
  };
  const links = async (netns: string | undefined, which: string[], signal: AbortSignal) => {
    const text = await ip(netns, ["-details", "-json", "address", "show", ...which], signal);
    return parseLinks(text);
  };

  return {
    links: (netns, signal) => links(netns, [], signal),
    async link(netns, name, signal) {
      try {
        return (await links(netns, ["dev", name], signal))[0];
      } catch (error) {
        if (error instanceof CommandError && /does not exist/.test(error.stderr)) return undefined;
        throw error;
      }
    },
    async routes(signal) {
      const args = ["-4", "-json", "route", "show", "table", "all"];
      const routes = z
        .array(z.object({ dst: z.string() }))
        .parse(JSON.parse((await ip(undefined, args, signal)) || "[]"));
      return routes.map(({ dst }) => dst).filter((dst) => dst !== "default");
    },
    async batch(netns, lines, signal) {
      if (lines.length > 0) await ip(netns, ["-batch", "-"], signal, `${lines.join("\n")}\n`);
    },
    async netns(verb, netns, signal) {
      await ip(undefined, ["netns", verb, netns], signal);
    },
  };
}

export function parseLinks(text: string): Link[] {
  const all = z.array(z.record(z.string(), z.unknown())).parse(JSON.parse(text || "[]"));
  // iproute2 prints `{}` for each link that its filter left out.
  const links = all.filter((link) => Object.keys(link).length > 0);
  return z.array(linkSchema).parse(links).map(toLink);
}

function toLink(link: z.infer<typeof linkSchema>): Link {
  const addresses = (link.addr_info ?? []).flatMap(({ local, prefixlen, scope }) =>
    local === undefined || scope === "link" ? [] : [`${local}/${prefixlen}`],
  );
  const data = link.linkinfo?.info_data;
  return {
    index: link.ifindex,
    name: link.ifname,
    peerIndex: link.link_index,
    flags: link.flags,
    master: link.master,
    kind: link.linkinfo?.info_kind,
    group: link.group === undefined || link.group === "default" ? 0 : Number(link.group),
    tunGroup: data?.group === undefined ? undefined : Number(data.group),
    alias: link.ifalias,
    addresses,
  };
}

/** Keeps the kernel from giving a link an IPv6 address of its own, where there is IPv6 at all. */
export function ipv6Off(): string {
  return existsSync("/proc/sys/net/ipv6") ? " addrgenmode none" : "";
}
