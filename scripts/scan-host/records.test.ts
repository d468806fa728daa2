import { expect, test } from "vitest";
import { type RecordReader, readRecords } from "./records.ts";

const web = {
  name: "web",
  state: "SHUTDOWN",
  uuid: "u",
  compute_node_name: "n1",
  block_storage_names: ["root"],
  nics: [
    { network_name: "lan", security_groups: ["web", "default/web"] },
    { network_name: "default/lan" },
  ],
};
const root = { name: "root", state: "IN_USE", node_name: "n1", volume_id: "v", used_by: "web" };

const reader: RecordReader = async (kind, project) => {
  const own = project === "acme";
  const all = {
    nodes: [{ name: "n1" }],
    networks: [{ name: "lan" }],
    block_storages: own ? [root] : [],
    virtual_machines: own ? [web] : [],
    images: [],
    users: [{ name: "ann" }],
  };
  return { [kind]: all[kind] };
};

test("objects of another project, and what they name, have their names on a node", async () => {
  const records = await readRecords(reader, ["default", "acme"]);
  expect(Object.keys(records.nodes)).toEqual(["n1"]);
  expect(Object.keys(records.users)).toEqual(["ann"]);
  expect(Object.keys(records.networks).toSorted()).toEqual(["acme~lan", "lan"]);
  expect(records.virtual_machines).toEqual({
    "acme~web": {
      ...web,
      name: "acme~web",
      block_storage_names: ["acme~root"],
      nics: [
        {
          network_name: "acme~lan",
          security_groups: ["security_group/acme/web", "security_group/web"],
        },
        { network_name: "lan", security_groups: ["security_group/acme/default"] },
      ],
    },
  });
  expect(records.block_storages["acme~root"]?.used_by).toBe("acme~web");
});

test("without the projects named, only the default one is read", async () => {
  expect((await readRecords(reader)).virtual_machines).toEqual({});
});
