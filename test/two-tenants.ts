import { N0Error } from "../src/util/errors.ts";
import { newProject } from "./projects.ts";
import { refused } from "./refused.ts";
import { GiB, REQUEST_NODE, SSH_KEY } from "./scenario.ts";
import { type World, withHeaders } from "./world.ts";

/** The project of the first tenant, whose texts nobody else would send. */
export const FIRST = "zorvex";
export const SECOND = "mine";

export const NAMES = {
  virtualMachine: "quibblefang",
  disk: "snorkelwort",
  base: "blimpernel",
  image: "vandergrift",
  network: "fumblewick",
  stuck: "cragmuffin",
};
const TAG = "oxpecker";
const LABEL = "gribbleknot";
const LOGIN = "tamperwhisk";
const REASON = "wobblegasket";
const ADDRESS = "10.173.91.77";
const USER_DATA = "mumblecrust";
const HOSTNAME = "dabberlock";
const IDEMPOTENCY_KEY = "jibberhorn-1";

/** What each of them is. */
export const TEXTS = [
  ...(Object.keys(NAMES) as (keyof typeof NAMES)[]),
  "project",
  "tag",
  "label",
  "login",
  "reason",
  "address",
  "key",
  "uuid",
  "hardware",
  "pageToken",
  "stuckTransaction",
  "keyed",
  "qualified",
  "reference",
  "onNode",
  "userData",
  "hostname",
] as const;

export type Texts = Readonly<Record<(typeof TEXTS)[number], string>>;

const MACHINE = {
  name: NAMES.virtualMachine,
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: GiB,
  limitMemoryBytes: GiB,
  blockStorageNames: [NAMES.disk],
  nics: [{ networkName: NAMES.network, ipv4Address: ADDRESS }],
  loginUsername: LOGIN,
  sshAuthorizedKeys: [SSH_KEY.replace("me@home", LABEL)],
  hostname: HOSTNAME,
  userData: `#cloud-config\nhidden: ${USER_DATA}\n`,
};

/** Makes one of everything in the project of the first tenant. @returns its texts, by what they are. */
export async function prepareFirst(world: World): Promise<Texts> {
  await world.opened.api.datastore.batch(newProject(FIRST));
  await world.seen();
  const first = withHeaders(world, { "n0-project": FIRST });
  const labels = { [LABEL]: LABEL };
  const annotations = { [REQUEST_NODE]: "node-1" };
  const bytes = { requestBytes: GiB, limitBytes: GiB };
  await first.networks.applyNetwork({ name: NAMES.network, ipv4Cidr: "10.173.91.0/24", labels });
  await first.blockStorages.createBlockStorage({ name: NAMES.base, ...bytes, annotations });
  await first.images.applyImage({ name: NAMES.image, labels });
  await first.images.registerBlockStorage({
    imageName: NAMES.image,
    blockStorageName: NAMES.base,
    tags: [TAG],
  });
  await first.images.generateBlockStorage({
    imageName: NAMES.image,
    tag: TAG,
    blockStorageName: NAMES.disk,
    ...bytes,
  });
  const made = await first.virtualMachines.createVirtualMachine({ ...MACHINE, labels });
  const { nextPageToken } = await first.blockStorages.listBlockStorages({ pageSize: 1 });
  const keyed = withHeaders(world, { "n0-project": FIRST, "idempotency-key": IDEMPOTENCY_KEY });
  let keyedId = "";
  const onHeader = (header: Headers) => (keyedId = header.get("n0-transaction-id") ?? "");
  await keyed.images.applyImage({ name: NAMES.image, labels }, { onHeader });
  const transactionId = await stick(world, first);
  return {
    ...NAMES,
    project: FIRST,
    tag: TAG,
    label: LABEL,
    login: LOGIN,
    reason: REASON,
    address: ADDRESS,
    key: IDEMPOTENCY_KEY,
    uuid: made.uuid,
    hardware: made.nics[0]!.hardwareAddress,
    pageToken: nextPageToken,
    stuckTransaction: transactionId,
    keyed: keyedId,
    qualified: `${FIRST}/${NAMES.virtualMachine}`,
    reference: `virtual_machine/${FIRST}/${NAMES.virtualMachine}`,
    onNode: `${FIRST}~${NAMES.virtualMachine}`,
    userData: USER_DATA,
    hostname: HOSTNAME,
  };
}

/** A transaction of the first tenant that needs an operator. */
async function stick(world: World, first: World): Promise<string> {
  const { volume } = world.fakeNodes[0]!.drivers;
  volume.after = ({ method }) => {
    if (method === "ensureEmpty") throw new N0Error("failed_precondition", REASON);
  };
  volume.before = ({ method }) => {
    if (method === "ensureAbsent") throw new N0Error("failed_precondition", REASON);
  };
  const bytes = { requestBytes: GiB, limitBytes: GiB };
  await refused(first.blockStorages.createBlockStorage({ name: NAMES.stuck, ...bytes }));
  volume.before = volume.after = () => {};
  const { transactions } = await first.transactions.listTransactions({ openOnly: true });
  return transactions[0]!.id;
}

/** Makes the project of the second tenant, with one of what the examples of requests name. */
export async function prepareSecond(world: World): Promise<void> {
  await world.opened.api.datastore.batch(newProject(SECOND));
  await world.seen();
  const second = withHeaders(world, { "n0-project": SECOND });
  const annotations = { [REQUEST_NODE]: "node-1" };
  const bytes = { requestBytes: GiB, limitBytes: GiB };
  await second.networks.applyNetwork({ name: "a", ipv4Cidr: "10.20.0.0/24" });
  await second.blockStorages.createBlockStorage({ name: "a", ...bytes, annotations });
  await second.blockStorages.createBlockStorage({ name: "base", ...bytes, annotations });
  await second.images.applyImage({ name: "a" });
  await second.images.registerBlockStorage({
    imageName: "a",
    blockStorageName: "base",
    tags: ["a"],
  });
}
