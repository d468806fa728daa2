import type { ConsoleLinks } from "../core/console-links.ts";
import type { ConsoleTokens } from "./tokens/tokens.ts";
import { consoleUrl, downloadUrl } from "./urls.ts";

/**
 * @param publicUrl Returns how browsers reach this API. Called each time, because a free port is known late.
 */
export function createConsoleLinks(tokens: ConsoleTokens, publicUrl: () => string): ConsoleLinks {
  return {
    consoleUrl: async (name, id, asker) =>
      consoleUrl(publicUrl(), name, await tokens.issue("vnc", { name, id }, asker)),
    downloadUrl: async (name, id, asker) =>
      downloadUrl(publicUrl(), name, await tokens.issue("download", { name, id }, asker)),
  };
}
