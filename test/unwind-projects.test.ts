import { PROJECT_HEADER } from "../src/util/project.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { inProject } from "./projects.ts";
import { rpcUnwindCases } from "./saga-cases.ts";
import { withHeaders } from "./world.ts";

/** Those that make and remove the most on nodes, where names of two projects could meet. */
const RPCS = ["CreateVirtualMachine", "DeleteVirtualMachine", "PurgeBlockStorage"];
const PROJECT = "acme";

await rpcUnwindCases(
  CASES_IN_ORDER.filter(({ rpc, about }) => RPCS.includes(rpc) && about === undefined).map(
    (rpcCase) => ({
      ...rpcCase,
      about: "beside the same objects of another project",
      async prepare(world) {
        // The same objects of another project are there, and must stay as they are.
        await rpcCase.prepare(world);
        await rpcCase.prepare(await inProject(world, PROJECT));
      },
      call: (world) => rpcCase.call(withHeaders(world, { [PROJECT_HEADER]: PROJECT })),
    }),
  ),
);
