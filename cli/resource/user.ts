import { cell } from "../table.ts";
import { defineResource, namedColumns, transactionColumn } from "./define.ts";

export const user = defineResource({
  name: "user",
  summary: "users, their SSH public keys and passwords",
  examples: ["user create alice", "user key add alice laptop --file ~/.ssh/id_ed25519.pub"],
  loadService: async () => (await import("../../src/gen/n0stack/iam/v0/user_pb.ts")).UserService,
  columns: [
    ...namedColumns,
    { ...cell("ssh_public_keys"), header: "SSH PUBLIC KEYS", show: (v) => keyNames(v) },
    transactionColumn,
  ],
  calls: [
    {
      name: "create",
      rpc: "CreateUser",
      makes: true,
      summary: "make a user",
      examples: ["user create alice"],
    },
    {
      name: "delete",
      rpc: "DeleteUser",
      summary: "delete a user",
      examples: ["user delete alice"],
    },
  ],
  commands: async (cli) => [
    ...(await import("../commands/user-key.ts")).keyCommands(cli),
    ...(await import("../commands/user-password.ts")).passwordCommands(cli),
  ],
});

function keyNames(value: unknown): string {
  return typeof value === "object" && value !== null ? Object.keys(value).join(",") : "";
}
