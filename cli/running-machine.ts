import { create } from "@bufbuild/protobuf";
import {
  GetVirtualMachineRequestSchema,
  type VirtualMachine,
  VirtualMachineService,
  VirtualMachine_VirtualMachineState as VirtualMachineState,
} from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { callUnary } from "./call.ts";
import type { CliContext } from "./context.ts";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-code.ts";

/** A name that cannot be an option, a path or a host and a port. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/**
 * The virtual machine, if something can be reached in it. Its name becomes part of paths and command lines, so it
 * must be valid.
 *
 * @throws CliError if the name is not valid, or the virtual machine does not run; ConnectError.
 */
export async function runningMachine(cli: CliContext, name: string): Promise<VirtualMachine> {
  if (!NAME.test(name)) throw new CliError(`"${name}" is not the name of a virtual machine`);
  const request = create(GetVirtualMachineRequestSchema, { name });
  const vm = await callUnary(cli, VirtualMachineService.method.getVirtualMachine, request);
  if (vm.state === VirtualMachineState.RUNNING) return vm;
  const hint = `start it with n0cli vm boot ${name}`;
  throw new CliError(`virtual machine "${name}" is not running; ${hint}`, EXIT.conflict);
}
