import { BEAT_MS, type DatastoreSessions } from "../../../datastore/sessions.ts";
import type { Api } from "../context.ts";
import { takeOver } from "./take-over.ts";

/** Takes over the open transactions of ended sessions. Their keys are held when it resolves. */
export async function recover(api: Api): Promise<number> {
  const count = await api.engine.takingOver.recover((...left) => takeOver(api, ...left));
  if (count > 0) api.log.info("took over open transactions", { count });
  return count;
}

/**
 * Until the process ends, tells the others that this session runs, and takes over from sessions that have
 * ended.
 *
 * @param lose Called if another process considered this session ended and has taken its transactions.
 */
export async function keepSession(
  api: Api,
  sessions: DatastoreSessions,
  lose: () => void,
): Promise<void> {
  const { clock, log, shutdown } = api;
  for (;;) {
    await clock.sleep(BEAT_MS, shutdown).catch(() => undefined);
    if (shutdown.aborted) return;
    try {
      if (!(await sessions.beat())) {
        log.error("another process has taken over from this one, which stops working");
        return lose();
      }
      if ((await sessions.look()).ended.length > 0) await recover(api);
    } catch (error) {
      log.warn("cannot renew the session", { error });
    }
  }
}
