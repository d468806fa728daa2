import { createClient } from "@connectrpc/connect";
import { ProjectService } from "../src/gen/n0stack/iam/v1alpha1/project_pb.ts";
import type { CliContext } from "./context.ts";

const NAMES_MAX = 10;
const TIMEOUT_MS = 3_000;

/** A line about the projects in which the caller has a role; undefined if the API does not say. */
export async function ownProjects(cli: CliContext): Promise<string | undefined> {
  try {
    const client = createClient(ProjectService, await cli.transport());
    const page = { pageSize: NAMES_MAX + 1 };
    const { projects } = await client.listProjects(page, { timeoutMs: TIMEOUT_MS });
    if (projects.length === 0) return "You have no role in any project: see n0cli whoami.";
    const names = projects.slice(0, NAMES_MAX).map(({ name }) => name);
    return `Yours: ${names.join(", ")}${projects.length > NAMES_MAX ? ", …" : ""}`;
  } catch {
    return undefined;
  }
}
