import { type Copy, copyTicket } from "../../../rpc/certificate/copy-ticket.ts";
import type { Api } from "../context.ts";

/** The ticket with which one node reads a volume of another. Empty if nodes share a token with the API. */
export async function copyTicketFor(
  { joining, clock }: Pick<Api, "joining" | "clock">,
  copy: Copy,
): Promise<string> {
  if (joining === undefined) return "";
  const { signTicket } = await joining.authority();
  return copyTicket(copy, signTicket, clock.nowMs());
}
