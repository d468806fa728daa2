// Looks at this host, and at what the API says of it, for tests and for people. It shares no code with the
// servers: it reads by virsh, ip, nft, /proc and n0cli.
//
//   node scripts/scan-host.ts --prefix n0- --base-directory /var/lib/n0core --api-endpoint 127.0.0.1:20180
//
// With other projects than `default`, name them all: --project default --project acme
//
// Prints everything as JSON, without values that differ from one reading to the next (times, process ids,
// random hardware addresses). Prints differences between the two as `findings`.
// Exit 0: nothing found; 3: findings; 1: could not look; 2: wrong use.
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Finding, findingsOf } from "./scan-host/findings.ts";
import { type Host, type Place, readHost } from "./scan-host/host.ts";
import { n0cliReader, type RecordReader, type Records, readRecords } from "./scan-host/records.ts";

const EXIT_FOUND = 3;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export interface Scan {
  /** By the prefix of each place. */
  readonly hosts: Readonly<Record<string, Host>>;
  readonly records: Records;
  readonly findings: readonly Finding[];
}

/** Reads the records first: a thing that is made in the meantime is a finding; things at rest are not. */
export async function scanHost(
  places: readonly Place[],
  reader: RecordReader,
  projects?: readonly string[],
): Promise<Scan> {
  const records = await readRecords(reader, projects);
  const hosts: Record<string, Host> = {};
  for (const place of places) hosts[place.prefix] = await readHost(place);
  const findings = places.flatMap((place) => findingsOf(place, hosts[place.prefix]!, records));
  return { hosts, records, findings: unique(findings) };
}

/** Findings about the API appear once for each place. */
function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      prefix: { type: "string", default: "n0-" },
      "base-directory": { type: "string", default: "/var/lib/n0core" },
      "api-endpoint": { type: "string", default: "127.0.0.1:20180" },
      "libvirt-uri": { type: "string", default: "qemu:///system" },
      node: { type: "string" },
      project: { type: "string", multiple: true, default: ["default"] },
    },
  });
  const place: Place = {
    prefix: values.prefix,
    baseDirectory: values["base-directory"],
    libvirtUri: values["libvirt-uri"],
    ...(values.node === undefined ? {} : { nodeName: values.node }),
  };
  const n0cli = join(import.meta.dirname, "../bin/n0cli");
  const { hosts, records, findings } = await scanHost(
    [place],
    n0cliReader(n0cli, values["api-endpoint"]),
    values.project,
  );
  const found = { host: hosts[place.prefix], records, findings };
  console.log(JSON.stringify(found, undefined, 2));
  if (findings.length > 0) process.exitCode = EXIT_FOUND;
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(`scan-host: ${error instanceof Error ? error.message : String(error)}`);
    const isUsage = error instanceof TypeError && "code" in error;
    process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
  }
}
