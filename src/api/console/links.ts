import type { ConsoleLinks } from "../core/console-links.ts";
import type { ConsoleTokens } from "./tokens/tokens.ts";
import { consoleUrl, downloadUrl } from "./urls.ts";

/**
 * @param publicUrl Returns how browsers reach this API. Called each time, because a free port is known late.
 */
export function createConsoleLinks(tokens: ConsoleTokens, publicUrl: () => string): ConsoleLinks {
  return {
    consoleUrl: async (ref, id, ...by) =>
      consoleUrl(publicUrl(), ref, await tokens.issue("vnc", { ref, id }, ...by)),
    downloadUrl: async (ref, id, ...by) =>
      downloadUrl(publicUrl(), ref, await tokens.issue("download", { ref, id }, ...by)),
  };
}
