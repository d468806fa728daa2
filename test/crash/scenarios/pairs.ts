import type { Request } from "../remote.ts";
import { MiB, network, node, OTHER_NODE, SSH_KEY, user } from "../requests.ts";
import { nameOf, type Scenario } from "../scenario.ts";

const RESERVED = { nodeName: "node-1", annotations: { who: "me" } };
const COMPUTE = { ...RESERVED, computeName: "mine" };
const STORAGE = { ...RESERVED, storageName: "mine" };
const NIC = { networkName: "net", networkInterfaceName: "mine" };

/** Each with the RPC that takes it back, whose scenario is the same turned round. */
const pairs: readonly (readonly [
  call: Request,
  inverse: Request,
  prepare?: Request,
  undone?: Request,
])[] = [
  [OTHER_NODE, node("DeleteNode", { name: "other" })],
  [
    node("ReserveCompute", { ...COMPUTE, requestCpuMilliCore: 100, requestMemoryBytes: MiB }),
    node("ReleaseCompute", { nodeName: "node-1", computeName: "mine" }),
  ],
  [
    node("ReserveStorage", { ...STORAGE, requestBytes: MiB }),
    node("ReleaseStorage", { nodeName: "node-1", storageName: "mine" }),
  ],
  [
    network("ApplyNetwork", { name: "lan", ipv4Cidr: "10.231.8.0/24" }),
    network("DeleteNetwork", { name: "lan" }),
  ],
  [
    network("ReserveNetworkInterface", { ...NIC, ipv4Address: "10.231.7.9" }),
    network("ReleaseNetworkInterface", NIC),
  ],
  [user("CreateUser", { name: "me" }), user("DeleteUser", { name: "me" })],
  [
    user("AddSshPublicKey", { userName: "me", sshPublicKeyName: "k", sshPublicKey: SSH_KEY }),
    user("DeleteSshPublicKey", { userName: "me", sshPublicKeyName: "k" }),
    user("CreateUser", { name: "me" }),
    user("DeleteUser", { name: "me" }),
  ],
];

export const turned: readonly Scenario[] = pairs.flatMap(([call, inverse, prepare, undone]) => {
  const first = prepare === undefined ? [] : [prepare];
  const last = undone === undefined ? [] : [undone];
  return [
    { name: nameOf(call), prepare: first, call, revert: [inverse], cleanUp: last },
    {
      name: nameOf(inverse),
      prepare: [...first, call],
      call: inverse,
      revert: [call],
      cleanUp: [inverse, ...last],
    },
  ];
});
