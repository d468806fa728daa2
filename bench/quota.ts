import { QuotaService } from "../src/gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { machineRequest, openFakeCloud } from "./control-plane.ts";
import { runLoad } from "./load.ts";
import { inTurn, type Measurement, median } from "./measurement.ts";

const IN_FLIGHT = 64;
const CREATES = 512;
/** More than there will be. */
const LIMITS = {
  cpu_milli_core: 1n << 40n,
  memory_bytes: 1n << 60n,
  virtual_machines: 1n << 40n,
  addresses: 1n << 40n,
};

/** CreateVirtualMachine with quotas of the project and the domain, against none. */
export const quota: Measurement = {
  name: "quota",
  async run({ runs }) {
    await using cloud = await openFakeCloud(10);
    const quotas = cloud.client(QuotaService);
    const create = async (name: string) => {
      const requests = Array.from({ length: CREATES }, (_, i) => ({
        ...machineRequest(`${name}-${i}`, ""),
        blockStorageNames: [],
      }));
      const { totalMs } = await runLoad(cloud.url, requests, IN_FLIGHT);
      return (CREATES * 1000) / totalMs;
    };
    const rates = await inTurn(runs, {
      without: async (run) => {
        const unlimited = Object.keys(LIMITS);
        await quotas.setQuota({ unlimited });
        await quotas.setDomainQuota({ domain: "default", unlimited });
        return await create(`without-${run}`);
      },
      with: async (run) => {
        await quotas.setQuota({ limits: LIMITS });
        await quotas.setDomainQuota({ domain: "default", limits: LIMITS });
        return await create(`with-${run}`);
      },
    });
    return [
      {
        what: `creates with quotas of the project and the domain, ${IN_FLIGHT} in flight, against without`,
        unit: "/s",
        floor: median(rates.without),
        ours: median(rates.with),
        bar: { atLeast: 0.95 },
        note: `${CREATES} creates ${runs + 1} times each, in turn`,
      },
    ];
  },
};
