import type { Cluster } from "./cluster.ts";

/** The last warnings and errors of the servers. */
export function troubleOf(cluster: Cluster | undefined): string {
  const lines = [cluster?.api, ...(cluster?.agents ?? [])].flatMap((program) =>
    (program?.log() ?? "").split("\n"),
  );
  return lines
    .filter((line) => /"level":"(?:warn|error)"/.test(line))
    .slice(-8)
    .join("\n");
}
