import { expect, test } from "vitest";
import { ProjectService } from "../src/gen/n0stack/iam/v1alpha1/project_pb.ts";
import { RoleBindingService } from "../src/gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { serverInterceptors } from "../src/rpc/interceptors.ts";
import { localTransport } from "../src/rpc/local-transport.ts";
import { silentLog } from "../src/util/log.ts";
import { newWorld } from "../test/world.ts";
import { run } from "./program.ts";
import { newTestIo } from "./testing/test-io.ts";

test("who has no role in the default project is told to name one, and which he has", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const interceptors = serverInterceptors(silentLog);
  const caller = { principal: "user/ann", groups: [] };
  const transport = localTransport(world.opened.routes, { interceptors, caller });
  const told = async (line: string) => {
    const io = newTestIo({ transport });
    expect(await run(line.split(" "), io.io)).toBe(5);
    return io.stderr();
  };
  const first = '[NotFound] project "default" does not exist\n';
  const next = "Name a project in which you have a role with --project or N0CLI_PROJECT.\n";
  expect(await told("get vm")).toBe(
    `${first}${next}You have no role in any project: see n0cli whoami.\n`,
  );
  await world.users.createUser({ name: "ann" });
  for (const name of ["lab", "acme"]) {
    await world.client(ProjectService).createProject({ name });
    const binding = { name: "ann", role: "viewer", member: "user/ann", scope: `project/${name}` };
    await world.client(RoleBindingService).createRoleBinding(binding);
  }
  expect(await told("get vm")).toBe(`${first}${next}Yours: acme, lab\n`);
  expect(await told("project get gone")).toContain("List what exists");
});
