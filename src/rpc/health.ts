import { setTimeout as delay } from "node:timers/promises";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus } from "../gen/grpc/health/v1/health_pb.ts";
import { N0Error } from "../util/errors.ts";
import { quote } from "../util/quote.ts";

const WATCH_INTERVAL_MS = 1000;

/**
 * The gRPC health protocol (grpc/health/v1). The empty name is the server as a whole; a service's name
 * is served while the server is.
 */
export function healthRoutes(
  router: ConnectRouter,
  serviceNames: ReadonlySet<string>,
  isServing: () => boolean,
): void {
  const statusOf = (service: string) => {
    if (service !== "" && !serviceNames.has(service)) return undefined;
    return isServing()
      ? HealthCheckResponse_ServingStatus.SERVING
      : HealthCheckResponse_ServingStatus.NOT_SERVING;
  };
  router.service(Health, {
    check: ({ service }) => {
      const status = statusOf(service);
      if (status !== undefined) return { status };
      throw new N0Error("not_found", `service ${quote(service)} is not served here`);
    },
    list: () => ({
      statuses: Object.fromEntries(
        ["", ...serviceNames].map((name) => [
          name,
          { status: statusOf(name) ?? HealthCheckResponse_ServingStatus.UNKNOWN },
        ]),
      ),
    }),
    async *watch({ service }, { signal }) {
      let told: HealthCheckResponse_ServingStatus | undefined;
      while (!signal.aborted) {
        const status = statusOf(service) ?? HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN;
        if (status !== told) yield { status };
        told = status;
        // Woken by the client's leaving, which ends the loop.
        await delay(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => {});
      }
    },
  });
}
