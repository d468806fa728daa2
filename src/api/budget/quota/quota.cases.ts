import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { QuotaService } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";

const quotasOf = (world: World) => world.client(QuotaService);
const limits = { images: 7n, memory_bytes: 1n << 40n };

async function prepare(world: World): Promise<void> {
  await quotasOf(world).setQuota({ limits: { images: 5n } });
  await quotasOf(world).setDomainQuota({ domain: "default", limits: { networks: 50n } });
}

export const rpcCases: readonly RpcCase[] = [
  { rpc: "SetQuota", prepare, call: (world) => quotasOf(world).setQuota({ limits }) },
  {
    rpc: "SetDomainQuota",
    prepare,
    call: (world) => quotasOf(world).setDomainQuota({ domain: "default", limits }),
  },
  {
    rpc: "DeleteQuota",
    prepare,
    call: (world) => quotasOf(world).deleteQuota({ name: "project/default" }),
  },
];

const quota = requestsTo(QuotaService);

export const scenarios = turned(
  [
    [
      quota("SetQuota", { limits: { images: "5" } }),
      quota("DeleteQuota", { name: "project/default" }),
    ],
    [
      quota("SetDomainQuota", { domain: "default", limits: { images: "5" } }),
      quota("DeleteQuota", { name: "domain/default" }),
    ],
  ],
  { thorough: "SetQuota" },
);

export const examples: Examples = {
  GetQuota: { name: "project/default" },
  SetQuota: { unlimited: ["images"] },
  SetDomainQuota: { domain: "default", unlimited: ["images"] },
  DeleteQuota: { name: "project/default" },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const quotas = clients.client(QuotaService);
  for (const { name } of (await quotas.listQuotas({})).quotas) {
    await remove(`quota ${name}`, quotas.deleteQuota({ name }));
  }
};
