import { expect, test } from "vitest";
import { seedFiles } from "../../driver/seed/cloud-init.ts";
import { newFakeSeedDriver } from "../../driver/seed/fake-seed-driver.ts";
import { exampleSeed } from "../../driver/seed/seed-driver.suite.ts";
import type { Seed } from "../../driver/seed/seed-driver.ts";
import { newAnswerMetadata } from "./answer.ts";

const [key] = exampleSeed.sshAuthorizedKeys;
const OWNER = "virtual_machine/web-1";

/** What the guest gets that has this seed. */
async function asGuest(seed: Seed = exampleSeed) {
  const driver = newFakeSeedDriver();
  await driver.ensure("/vm", seed, new AbortController().signal);
  const findFolder = async (owner: string) => (owner === OWNER ? "/vm" : undefined);
  const answer = newAnswerMetadata({ compute: { findFolder }, seed: driver });
  return {
    answer,
    ask: (path: string, method: "GET" | "PUT" = "GET", headers = {}) =>
      answer(OWNER, { method, path, headers }),
    async get(path: string) {
      const reply = await answer(OWNER, { method: "GET", path, headers: {} });
      return reply?.status === 200 ? reply.body : reply?.status;
    },
    async json(path: string) {
      const reply = await answer(OWNER, { method: "GET", path, headers: {} });
      expect(reply).toMatchObject({ status: 200, contentType: "application/json" });
      return JSON.parse(reply?.body ?? "");
    },
  };
}

test("NoCloud: the files of the seed, to the letter", async () => {
  const { get } = await asGuest();
  for (const { name, content } of seedFiles(exampleSeed)) {
    expect(await get(`/nocloud/${name}`)).toBe(Buffer.from(content).toString());
  }
  expect(await get("/nocloud/vendor-data")).toBe("");
});

test("user data is the same in each layout, and so is a host name with its domain", async () => {
  const seed = { ...exampleSeed, hostname: "web.example.com", userData: "#!/bin/sh\necho é\n" };
  const { get, json } = await asGuest(seed);
  const merged = Buffer.from(seedFiles(seed)[0]!.content).toString();
  expect(merged).toContain("multipart/mixed");
  for (const path of ["nocloud/user-data", "openstack/latest/user_data", "latest/user-data"]) {
    expect([path, await get(`/${path}`)]).toEqual([path, merged]);
  }
  expect((await json("/openstack/latest/meta_data.json")).hostname).toBe("web.example.com");
  for (const name of ["hostname", "local-hostname"]) {
    expect(await get(`/latest/meta-data/${name}`)).toBe("web.example.com");
  }
});

test("OpenStack: versions, metadata, network data, user data", async () => {
  const { get, json } = await asGuest();
  expect(await get("/openstack")).toBe("2015-10-15\n2018-08-27\n2020-10-14\nlatest");
  const { uuid, hostname, public_keys } = await json("/openstack/latest/meta_data.json");
  expect([uuid, hostname, public_keys]).toEqual([
    exampleSeed.instanceId,
    "web-1",
    { "key-0": key },
  ]);
  const base = { network_id: "network0", link: "eth0" };
  const dns = ["8.8.8.8", "fd00::53"].map((address) => ({ type: "dns", address }));
  const mask6 = "ffff:ffff:ffff:ffff::";
  const route4 = { network: "0.0.0.0", netmask: "0.0.0.0", gateway: "10.0.0.1" };
  const route6 = { network: "::", netmask: "::", gateway: "fd00::1" };
  expect(await json("/openstack/2018-08-27/network_data.json")).toEqual({
    links: ["52:54:f5:8c:a4:f2", "52:54:00:12:34:56"].map((mac, i) => ({
      ...{ id: `eth${i}`, vif_id: `eth${i}`, type: "phy", ethernet_mac_address: mac, mtu: 1500 },
    })),
    networks: [
      ["ipv4", "10.0.0.2", "255.255.255.0", [route4], dns],
      ["ipv6", "fd00::2", mask6, [route6], dns],
      ["ipv4", "10.0.0.3", "255.255.255.0", [], []],
      ["ipv6", "fd00::3", mask6, [], []],
    ].map(([type, ip_address, netmask, routes, services], i) => ({
      ...{ id: `network0-${i}`, ...base, type, ip_address, netmask, routes, services },
    })),
    services: dns,
  });
  expect(await get("/openstack/latest/user_data")).toMatch(
    /^#cloud-config\nusers:\n {2}- name: n0user/,
  );
  for (const name of ["vendor_data", "vendor_data2"]) {
    expect(await json(`/openstack/latest/${name}.json`)).toEqual({});
  }
});

test("EC2: the tree with its listings, and a token for who wants one", async () => {
  const { ask, get } = await asGuest();
  expect(await get("/")).toContain("2009-04-04\n");
  expect(await get("/latest")).toBe("meta-data\nuser-data");
  const top = "hostname instance-id local-hostname local-ipv4 ipv6 mac network/ public-keys/".split(
    " ",
  );
  for (const path of ["/latest/meta-data/", "/2009-04-04/meta-data"]) {
    expect(await get(path)).toBe(top.join("\n"));
  }
  const meta = (path: string) => get(`/latest/meta-data/${path}`);
  expect(await meta("instance-id")).toBe(exampleSeed.instanceId);
  expect(await meta("local-hostname")).toBe("web-1");
  expect(await meta("local-ipv4")).toBe("10.0.0.2");
  expect(await meta("public-keys/")).toBe("0=key-0");
  expect(await meta("public-keys/0/")).toBe("openssh-key");
  expect(await meta("public-keys/0/openssh-key")).toBe(`${key}\n`);
  expect(await meta("network/interfaces/macs/")).toBe("52:54:f5:8c:a4:f2/\n52:54:00:12:34:56/");
  const nic = "network/interfaces/macs/52:54:f5:8c:a4:f2";
  expect(await meta(`${nic}/local-ipv4s`)).toBe("10.0.0.2\n10.0.0.3");
  expect(await meta(`${nic}/ipv6s`)).toBe("fd00::2\nfd00::3");
  expect(await meta(`${nic}/subnet-ipv4-cidr-block`)).toBe("10.0.0.0/24");
  expect(await get("/latest/user-data")).toContain("#cloud-config");

  const header = "x-aws-ec2-metadata-token-ttl-seconds";
  const token = (seconds: string) => ask("/latest/api/token", "PUT", { [header]: seconds });
  expect(await token("21600")).toMatchObject({ status: 200, headers: { [header]: "21600" } });
  expect((await token("60"))?.body).toMatch(/^[\w-]{50,}$/);
  for (const wrong of ["0", "21601", "x", ""]) expect((await token(wrong))?.status).toBe(400);
  expect((await ask("/latest/api/token"))?.status).toBe(405);
  expect((await ask("/latest/user-data", "PUT"))?.status).toBe(405);
});

test("what is not there is not found, and a guest without a seed has nothing", async () => {
  const { answer, get } = await asGuest();
  const paths = ["/a", "/latest/meta-data/ami-id", "/latest/user-data/", "/latest/user-data/x"];
  const odd = ["/__proto__", "/latest/constructor", "/openstack/../nocloud/user-data", "/%2e"];
  for (const path of [...paths, ...odd]) expect([path, await get(path)]).toEqual([path, 404]);
  expect(await answer("virtual_machine/x", { method: "GET", path: "/", headers: {} })).toBe(
    undefined,
  );
  const bare = await asGuest({ ...exampleSeed, sshAuthorizedKeys: [], nics: [] });
  expect(await bare.get("/latest/meta-data")).toBe("hostname\ninstance-id\nlocal-hostname");
  expect(await bare.json("/openstack/latest/network_data.json")).toEqual({
    ...{ links: [], networks: [], services: [] },
  });
});
