import { cell } from "../table.ts";
import { defineResource } from "./define.ts";

export const stack = defineResource({
  name: "stack",
  summary: "files of tasks that the API remembers, with what they have made",
  examples: ["stack apply lab lab.yaml", "stack show lab", "stack delete lab"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/stack/v1alpha1/stack_pb.ts")).StackService,
  columns: [
    cell("name"),
    cell("version"),
    { ...cell("object_count"), header: "OBJECTS" },
    cell("changed_at"),
    cell("changed_by"),
    { ...cell("changed_in"), header: "TRANSACTION", isWide: true },
    { ...cell("project"), isWide: true },
  ],
  calls: [],
  async commands(cli) {
    const { applyCommand, updateCommand } = await import("../commands/stack-apply.ts");
    const { historyCommand, showCommand } = await import("../commands/stack-show.ts");
    const { rollbackCommand } = await import("../commands/stack-rollback.ts");
    return [applyCommand, updateCommand, rollbackCommand, showCommand, historyCommand].map((make) =>
      make(cli),
    );
  },
  async deleteCommand(cli, words) {
    const { deleteStackCommand } = await import("../commands/stack-delete.ts");
    return deleteStackCommand(cli, words);
  },
});
