import type { ConsoleLinks } from "../core/console-links.ts";
import type { ConsoleTokens } from "./tokens.ts";
import { consoleUrl, downloadUrl } from "./urls.ts";

/** @param publicUrl How browsers reach this API; asked each time, since a free port is known late. */
export function createConsoleLinks(tokens: ConsoleTokens, publicUrl: () => string): ConsoleLinks {
  return {
    consoleUrl: (name, id, asker) =>
      consoleUrl(publicUrl(), name, tokens.issue("vnc", { name, id }, asker)),
    downloadUrl: (name, id, asker) =>
      downloadUrl(publicUrl(), name, tokens.issue("download", { name, id }, asker)),
  };
}
