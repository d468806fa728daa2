import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { virtualMachines } from "../src/api/provisioning/virtual-machine/collection.ts";
import { put } from "../src/datastore/collection.ts";
import { merge } from "../src/datastore/datastore.ts";
import {
  ListVirtualMachinesRequestSchema,
  ListVirtualMachinesResponseSchema,
  VirtualMachineSchema,
} from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { newProject } from "../test/projects.ts";
import { vmRef } from "../test/refs.ts";
import { type ControlPlane, openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { seededName, seedMachines } from "./seed-machines.ts";

const MACHINES = 20_000;
const PAGE = 100;
const PROJECTS = 100;

/**
 * ListVirtualMachines over a socket, until the client has the whole answer. It decodes the answer after that.
 */
export const list: Measurement = {
  name: "list",
  async run({ runs }) {
    await using cloud = await openFakeCloud(20);
    await seedMachines(cloud, MACHINES);
    const get = async (pageSize: number) => {
      let bytes = new Uint8Array();
      const tookMs = await timed(async () => {
        bytes = await listBytes(cloud.url, pageSize);
      });
      const { virtualMachines } = fromBinary(ListVirtualMachinesResponseSchema, bytes);
      const wanted = pageSize === 0 ? MACHINES : pageSize;
      if (virtualMachines.length !== wanted) throw new Error("the list is not complete");
      return tookMs;
    };
    const alone = await inTurn(runs, { whole: () => get(0), page: () => get(PAGE) });
    await seedProjects(cloud, PROJECTS, MACHINES / PROJECTS);
    const { among } = await inTurn(runs, { among: () => get(0) });
    return [
      {
        what: "list 20,000 VMs, whole",
        unit: "ms",
        ours: median(alone.whole),
        bar: { atMost: 150 },
        note: "one thread reads, completes and encodes all of them",
      },
      {
        what: "the first page of 100 of them",
        unit: "ms",
        ours: median(alone.page),
        bar: { atMost: 5 },
      },
      {
        what: "list 20,000 VMs of one of 100 projects, against the same with one project",
        unit: "ms",
        floor: median(alone.whole),
        ours: median(among),
        bar: { atMost: 1.1 },
        note: `the other projects have ${MACHINES / PROJECTS} each`,
      },
    ];
  },
};

/** Makes projects beside `default`, each with the records of so many virtual machines. */
async function seedProjects(
  { opened }: ControlPlane,
  projectCount: number,
  machineCount: number,
): Promise<void> {
  for (let i = 1; i < projectCount; i++) {
    const scope = `project-${i}`;
    const machines = Array.from({ length: machineCount }, (_, n) => {
      const name = seededName(n);
      return put(
        virtualMachines,
        [{ ...vmRef(name), scope }],
        create(VirtualMachineSchema, { name }),
      );
    });
    await opened.api.datastore.batch(merge(newProject(scope), ...machines));
  }
}

/** The answer as it is on the wire: the unary protocol of Connect is a bare message over HTTP. */
async function listBytes(url: string, pageSize: number): Promise<Uint8Array<ArrayBuffer>> {
  const method = "n0stack.provisioning.v0.VirtualMachineService/ListVirtualMachines";
  const request = create(ListVirtualMachinesRequestSchema, { pageSize });
  const response = await fetch(`${url}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/proto" },
    body: new Uint8Array(toBinary(ListVirtualMachinesRequestSchema, request)),
  });
  if (!response.ok) throw new Error(await response.text());
  return new Uint8Array(await response.arrayBuffer());
}
