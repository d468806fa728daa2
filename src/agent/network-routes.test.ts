import { duplexPair } from "node:stream";
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { collect } from "../../test/collect.ts";
import { newFakeNode } from "../../test/fake-node.ts";
import { NetworkAgentService } from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { PartState, SurveyAgentService } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { fromConnectError } from "../rpc/errors.ts";

const mark = { owner: "virtual_machine/web-1", transactionId: "tx-1" };
const operation = (generation: bigint) => ({ ...mark, generation });
const network = { name: "net-1", ipv4Gateway: "10.0.0.254/24" };

function newNode() {
  const node = newFakeNode();
  return { node, client: createClient(NetworkAgentService, node.transport) };
}

test("makes a tap, connects it, lists it, and removes the network with its last tap", async () => {
  const { node, client } = newNode();
  const before = node.snapshot();
  await client.ensureTap({ operation: operation(1n), tapName: "tap-1" });
  expect((await client.listTaps({})).taps).toMatchObject([
    { name: "tap-1", ...mark, networkName: "" },
  ]);
  await client.ensureTapAttached({ operation: operation(2n), tapName: "tap-1", network });
  expect((await client.listTaps({})).taps).toMatchObject([{ name: "tap-1", networkName: "net-1" }]);
  expect((await client.listNodeNetworks({})).networks).toMatchObject([
    {
      name: "net-1",
      tapNames: ["tap-1"],
      gateways: ["10.0.0.254/24"],
      owner: "network/net-1",
      transactionId: "tx-1",
    },
  ]);
  const absent = { tapName: "tap-1", networkName: "net-1" };
  await client.ensureTapAbsent({ operation: operation(3n), ...absent });
  expect(node.snapshot()).toEqual(before);

  const late = client.ensureTap({ operation: operation(2n), tapName: "tap-1" });
  expect(fromConnectError(await late.catch((reason: unknown) => reason)).kind).toBe("aborted");
  expect(node.snapshot()).toEqual(before);
});

test("a tap gets the filter for its guest, and keeps it for an API that does not know the guest", async () => {
  const { node, client } = newNode();
  const survey = createClient(SurveyAgentService, node.transport);
  const filter = async () => (await survey.survey({})).taps[0];
  await client.ensureTap({ operation: operation(1n), tapName: "tap-1" });
  const asked = { tapName: "tap-1", network };
  await client.ensureTapAttached({ operation: operation(2n), ...asked });
  expect(await filter()).toMatchObject({ filter: PartState.ABSENT });
  const identity = { hardwareAddress: "52:54:00:00:00:01", addresses: ["10.0.0.1", "fd00::1"] };
  await client.ensureTapAttached({ operation: operation(3n), ...asked, identity });
  await client.ensureTapAttached({ operation: operation(4n), ...asked });
  await survey.ensureTapMoved({ operation: operation(5n), ...asked });
  expect(await filter()).toMatchObject({ filter: PartState.WHOLE, identity });
  const moved = { ...identity, addresses: [] };
  await survey.ensureTapMoved({ operation: operation(6n), ...asked, identity: moved });
  expect(await filter()).toMatchObject({ filter: PartState.WHOLE, identity: moved });
});

test("an identity that is none, or has too many addresses, is refused", async () => {
  const { client } = newNode();
  await client.ensureTap({ operation: operation(1n), tapName: "tap-1" });
  const identity = { hardwareAddress: "52:54:00:00:00:01", addresses: ["10.0.0.1"] };
  for (const wrong of [
    { hardwareAddress: "52-54-00-00-00-01" },
    { addresses: ["10.0.0.0/24"] },
    { addresses: Array<string>(65).fill("10.0.0.1") },
  ]) {
    const refused = client.ensureTapAttached({
      ...{ operation: operation(2n), tapName: "tap-1", network },
      identity: { ...identity, ...wrong },
    });
    const reason: unknown = await refused.catch((error: unknown) => error);
    expect(fromConnectError(reason).kind).toBe("invalid_argument");
  }
});

test("an undo leaves another transaction's tap, and the owner's removal takes it", async () => {
  const { node, client } = newNode();
  const nothing = node.snapshot();
  await client.ensureTap({ operation: operation(1n), tapName: "tap-1" });
  await client.ensureTapAttached({ operation: operation(2n), tapName: "tap-1", network });
  const before = node.snapshot();
  const absent = {
    operation: { ...operation(3n), transactionId: "tx-2" },
    tapName: "tap-1",
    networkName: "net-1",
  };
  await client.ensureTapAbsent({ ...absent, onlyOfTransaction: true });
  expect(node.snapshot()).toEqual(before);
  await client.ensureTapAbsent(absent);
  expect(node.snapshot()).toEqual(nothing);
});

test("connects to an address inside a network, both ways", async () => {
  const { node, client } = newNode();
  await client.ensureTap({ operation: operation(1n), tapName: "tap-1" });
  await client.ensureTapAttached({ operation: operation(1n), tapName: "tap-1", network });
  node.drivers.network.connectHandler = (networkName, address, port) => {
    const [ours, theirs] = duplexPair();
    theirs.write(`${networkName} ${address} ${port}: `);
    theirs.pipe(theirs);
    return ours;
  };
  async function* requests() {
    yield { networkName: "net-1", address: "10.0.0.1", port: 22, data: Buffer.from("one ") };
    yield { data: Buffer.from("two") };
  }
  const answers = await collect(client.connect(requests()));
  expect(answers[0]?.data.length).toBe(0);
  const text = Buffer.concat(answers.map(({ data }) => data)).toString();
  expect(text).toBe("net-1 10.0.0.1 22: one two");
});

test.for([
  [{}, "network_name"],
  [{ networkName: "net-1" }, "address"],
  [{ networkName: "net-1", address: "not-an-address" }, "address"],
  [{ networkName: "net-1", address: "10.0.0.1" }, "port"],
  [{ networkName: "net-1", address: "10.0.0.1", port: 70_000 }, "port"],
] as const)("refuses a connection to %j", async ([request, field]) => {
  const { client } = newNode();
  async function* requests() {
    yield request;
  }
  const reason = await collect(client.connect(requests())).catch((thrown: unknown) => thrown);
  expect(fromConnectError(reason)).toMatchObject({ kind: "invalid_argument", facts: { field } });
});

test("a connection into a network that is not here, or to nobody, is refused", async () => {
  const { client } = newNode();
  async function* requests() {
    yield { networkName: "net-1", address: "10.0.0.1", port: 22 };
  }
  const refusal = async () =>
    fromConnectError(await collect(client.connect(requests())).catch((thrown: unknown) => thrown));
  expect((await refusal()).kind).toBe("failed_precondition");
  await client.ensureTap({ operation: operation(1n), tapName: "tap-1" });
  await client.ensureTapAttached({ operation: operation(1n), tapName: "tap-1", network });
  expect((await refusal()).kind).toBe("unavailable");
});
