import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { QuotaService } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";

/** Most of the time there is room, so that not all requests are refused. */
const LIMITS = {
  virtual_machines: [2, 5, 9],
  block_storages: [4, 8, 16],
  images: [1, 2, 4],
  networks: [1, 2, 3],
  addresses: [2, 6, 12],
} as const;

export const calls: Readonly<Record<string, CallKind>> = {
  SetQuota: call(
    0.6,
    ({ dice }) => {
      const amount = dice.pick(Object.keys(LIMITS) as (keyof typeof LIMITS)[]);
      if (dice.chance(0.5)) return { unlimited: Object.keys(LIMITS) };
      return { limits: { [amount]: BigInt(dice.pick(LIMITS[amount])) } };
    },
    (c, request, options) => c.client(QuotaService).setQuota(request, options),
  ),
  SetDomainQuota: call(
    0.2,
    ({ dice }) =>
      dice.chance(0.5)
        ? { domain: "default", limits: { block_storages: BigInt(dice.pick([6, 12])) } }
        : { domain: "default", unlimited: ["block_storages"] },
    (c, request, options) => c.client(QuotaService).setDomainQuota(request, options),
  ),
  DeleteQuota: call(
    0.3,
    ({ dice }) => ({ name: dice.pick(["project/default", "domain/default"]) }),
    (c, request, options) => c.client(QuotaService).deleteQuota(request, options),
  ),
  GetQuota: read(
    0.5,
    () => ({}),
    (c, request, options) => c.client(QuotaService).getQuota(request, options),
  ),
};
