import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { N0Error } from "../../util/errors.ts";
import { verifiedTicket } from "./ticket-signature.ts";

/** Which node may read which volume of which other node. */
export interface Copy {
  readonly volumeId: string;
  readonly sourceNode: string;
  readonly readerNode: string;
}

/** From the order of the API to the first byte. A copy that has begun may take longer. */
const TICKET_LIFETIME_MS = 3_600_000;

const TicketSchema = z.object({
  volumeId: z.string(),
  sourceNode: z.string(),
  readerNode: z.string(),
  untilMs: z.number(),
});

/**
 * A ticket for one copy. It need not be secret: it helps only the node that it names, which must show its certificate.
 *
 * @param sign Of our authority.
 */
export function copyTicket(copy: Copy, sign: (content: string) => string, nowMs: number): string {
  const { volumeId, sourceNode, readerNode } = copy;
  const untilMs = nowMs + TICKET_LIFETIME_MS;
  return sign(JSON.stringify({ volumeId, sourceNode, readerNode, untilMs }));
}

/**
 * Checks the ticket with which a node wants to read a volume.
 *
 * @param authority PEM.
 * @throws N0Error `permission_denied` that says what is wrong with it.
 */
export function checkCopyTicket(
  ticket: string,
  { volumeId, sourceNode, readerNode }: Copy,
  authority: string,
  nowMs: number,
): void {
  const refuse = (why: string) =>
    new N0Error(
      "permission_denied",
      `node "${readerNode}" may not read volume "${volumeId}" of node "${sourceNode}": ${why}`,
    );
  if (ticket === "") {
    throw refuse(
      "it has no ticket of the API; if API and agents have different versions, restart them",
    );
  }
  const content = verifiedTicket(ticket, new X509Certificate(authority).publicKey);
  if (content === undefined) throw refuse("the API has not signed its ticket");
  const given = TicketSchema.parse(JSON.parse(content));
  const isFor =
    given.volumeId === volumeId &&
    given.sourceNode === sourceNode &&
    given.readerNode === readerNode;
  if (!isFor) throw refuse("its ticket is for another copy");
  if (nowMs <= given.untilMs) return;
  throw refuse(
    `its ticket ended at ${new Date(given.untilMs).toISOString()}, and the clock of node "${sourceNode}" says ` +
      `${new Date(nowMs).toISOString()}`,
  );
}
