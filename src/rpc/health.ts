import type { ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus } from "../gen/grpc/health/v1/health_pb.ts";
import { N0Error } from "../util/errors.ts";
import { quote } from "../util/quote.ts";
import { untilAborted } from "../util/race.ts";

/**
 * The gRPC health protocol (grpc/health/v1). The empty name is the whole server. A service is healthy while
 * the server runs.
 */
export function healthRoutes(
  router: ConnectRouter,
  serviceNames: ReadonlySet<string>,
  stopping: AbortSignal,
): void {
  const statusOf = (service: string) => {
    if (service !== "" && !serviceNames.has(service)) return undefined;
    return stopping.aborted
      ? HealthCheckResponse_ServingStatus.NOT_SERVING
      : HealthCheckResponse_ServingStatus.SERVING;
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
      yield { status: statusOf(service) ?? HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN };
      // The state changes only at the end of the server, which ends the stream.
      await untilAborted(signal).catch(() => {});
    },
  });
}
