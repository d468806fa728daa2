import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { vmRef } from "../../../test/refs.ts";
import { newWorld } from "../../../test/world.ts";
import { put, remove } from "../../datastore/collection.ts";
import { RoleBindingSchema } from "../../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { roleBindings } from "../iam/role-binding/collection.ts";
import { linkRights } from "./link-right.ts";

test("a link is followed while its asker may do the same; after that it is noted who tried", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  const { api } = world.opened;
  const ref = { kind: roleBindings.kind, scope: "default", name: "b" };
  const binding = { name: "b", member: "user/ann", role: "member", scope: "project/default" };
  await api.datastore.batch(put(roleBindings, [ref], create(RoleBindingSchema, binding)));
  await world.seen();
  const { consoleRight, downloadRight } = linkRights(api);
  const link = { id: "1", asker: "", caller: { principal: "user/ann", groups: [] } };
  const ended = { ...link, caller: { ...link.caller, tokenId: "0123456789abcdef" } };
  expect(consoleRight(link, vmRef("web"))?.ended.aborted).toBe(false);
  expect(downloadRight({ id: "1", asker: "" }, vmRef("web"))?.ended.aborted).toBe(false);
  expect(api.auditEvents.pending()).toEqual([]);

  expect(consoleRight(ended, vmRef("web"))).toBeUndefined();
  await api.datastore.batch(remove(roleBindings, ref));
  await world.seen();
  expect(consoleRight(link, vmRef("web"))).toBeUndefined();
  const noted = { kind: "refusal", place: "project/default", asker: { principal: "user/ann" } };
  const permission = "virtual_machine.open_console";
  expect(api.auditEvents.pending().map(({ event }) => event)).toMatchObject([
    { ...noted, permission, reason: "link of an ended token" },
    { ...noted, permission, reason: "link without permission" },
  ]);
});
