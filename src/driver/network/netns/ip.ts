import { existsSync } from "node:fs";
import { z } from "zod";
import { defined } from "../../../util/defined.ts";
import { N0Error } from "../../../util/errors.ts";
import { CommandError, type RunCommand } from "../../command/run-command.ts";
import type { ChangeLink, LinkChange } from "./link-changes.ts";
import { type Link, readLinks } from "./links.ts";

/** Far longer than any of these takes on a healthy node. */
const COMMAND_TIMEOUT_MS = 20_000;

/**
 * Links and routes of this node, in its own namespace or in a named one. Changes that each virtual machine
 * needs go to the kernel directly; all other changes go through iproute2.
 */
export interface Ip {
  links(netns: string | undefined, signal: AbortSignal): Promise<readonly Link[]>;
  link(netns: string | undefined, name: string, signal: AbortSignal): Promise<Link | undefined>;
  /** The IPv4 destinations of all routing tables, without the default routes. */
  routes(signal: AbortSignal): Promise<readonly string[]>;
  /** Does the changes one after the other, and stops at the first failure. */
  change(
    netns: string | undefined,
    changes: readonly LinkChange[],
    signal: AbortSignal,
  ): Promise<void>;
  /** Runs the lines in one process. Not atomic: stops at the first failure. */
  batch(netns: string | undefined, lines: readonly string[], signal: AbortSignal): Promise<void>;
  netns(verb: "add" | "delete", netns: string, signal: AbortSignal): Promise<void>;
}

export function newIp(run: RunCommand, changeLink: ChangeLink): Ip {
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
      ...defined({ input }),
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

  const links = async (netns: string | undefined, signal: AbortSignal) => {
    signal.throwIfAborted();
    return await readLinks(netns);
  };

  return {
    links,
    async link(netns, name, signal) {
      return (await links(netns, signal)).find((link) => link.name === name);
    },
    async routes(signal) {
      const args = ["-4", "-json", "route", "show", "table", "all"];
      const routes = z
        .array(z.object({ dst: z.string() }))
        .parse(JSON.parse((await ip(undefined, args, signal)) || "[]"));
      return routes.map(({ dst }) => dst).filter((dst) => dst !== "default");
    },
    async change(netns, changes, signal) {
      for (const change of changes) {
        signal.throwIfAborted();
        await changeLink(netns, change);
      }
    },
    async batch(netns, lines, signal) {
      if (lines.length > 0) await ip(netns, ["-batch", "-"], signal, `${lines.join("\n")}\n`);
    },
    async netns(verb, netns, signal) {
      await ip(undefined, ["netns", verb, netns], signal);
    },
  };
}

/** Keeps the kernel from giving a link an IPv6 address, if the kernel has IPv6 at all. */
export function ipv6Off(): string {
  return existsSync("/proc/sys/net/ipv6") ? " addrgenmode none" : "";
}
