import { until } from "../src/util/until.ts";
import {
  diskRequest,
  keepReady,
  machineRequest,
  openControlPlane,
  openFakeNodes,
  registerNodes,
} from "./control-plane.ts";
import { spread } from "./measurement.ts";

// An API on the SQLite file in a folder, with fake nodes: `hang` begins transactions whose work on the node
// never ends; `recover` serves what a killed `hang` left.
const [mode, folder = "", countText = "0"] = process.argv.slice(2);
const count = Number(countText);
const NODES = 10;

const fakes = openFakeNodes(NODES);
if (mode === "hang") {
  for (const { drivers } of fakes.list) {
    drivers.compute.faults.set("ensureStarted", { when: "before", what: "hang" });
  }
}
const plane = await openControlPlane({ folder, agentTransport: fakes.transportTo });
const { engine, datastore } = plane.opened.api;
if (mode === "hang") {
  await registerNodes(plane.nodes, NODES);
  await plane.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/12" });
  const name = (i: number) => `vm-${i}`;
  await spread(count, 50, (i) => plane.blockStorages.createBlockStorage(diskRequest(name(i))));
  for (let i = 0; i < count; i++) {
    // Ends with this process.
    plane.virtualMachines
      .createVirtualMachine(machineRequest(name(i), name(i)))
      .catch(() => undefined);
  }
  const started = async () => {
    const steps = await datastore.list("transaction_step/");
    return steps.filter(({ value }) => Buffer.from(value).includes('"domain.start_new"')).length;
  };
  await until(async () => (await started()) === count, {
    what: "beginning the transactions",
    timeoutMs: 120_000,
  });
  process.send!({ kind: "hanging" });
} else {
  process.send!({ kind: "serving", url: plane.url, recovered: plane.opened.recovered });
  using heart = keepReady(plane.nodes, NODES);
  await heart.beat();
  await engine.settled();
  const open = (await datastore.list("transaction_open/")).length;
  const pending = (await datastore.list("virtual_machine/")).length;
  process.send!({ kind: "settled", open, pending });
}
