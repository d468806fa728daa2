import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { N0Error } from "../../../../util/errors.ts";
import type { Log } from "../../../../util/log.ts";
import { COMMAND_ENV } from "../../../command/run-command.ts";

/** The programs, and the Debian packages that have them. */
const PROGRAMS = { dnsmasq: "dnsmasq-base", dhcp_release: "dnsmasq-utils" } as const;

const INSTANCES = "/proc/sys/fs/inotify/max_user_instances";
/** Each network takes one. Linux allows 128 by default, for all programs of root. */
const INSTANCES_MIN = 8192;

/**
 * Makes sure that the node can run DHCP and DNS for many networks. It raises a limit of the node and never
 * lowers it. A node that refuses that, such as a container, serves as many networks as its limit allows.
 *
 * @throws N0Error `failed_precondition` if a program is missing.
 */
export function prepareServices(log: Pick<Log, "warn">): void {
  for (const [program, debianPackage] of Object.entries(PROGRAMS)) {
    if (COMMAND_ENV.PATH.split(":").some((folder) => existsSync(join(folder, program)))) continue;
    throw new N0Error(
      "failed_precondition",
      `${program} is missing, which serves DHCP and DNS to guests: install the package ${debianPackage}`,
    );
  }
  try {
    if (Number(readFileSync(INSTANCES, "utf8")) >= INSTANCES_MIN) return;
    writeFileSync(INSTANCES, String(INSTANCES_MIN));
  } catch (error) {
    const wanted = `set fs.inotify.max_user_instances to ${INSTANCES_MIN}`;
    log.warn("the node may have too few inotify instances for DHCP and DNS of many networks", {
      wanted,
      error,
    });
  }
}
