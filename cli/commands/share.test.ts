import { expect, test } from "vitest";
import { inProject } from "../../test/projects.ts";
import { newWorld } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function n0cli(transport: object, line: string) {
  const t = newTestIo({ transport: transport as never });
  const exitCode = await run(line.split(" "), t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr() };
}

test("networks and images are shared with projects, with all, and with none", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  const { transport } = world;
  await world.networks.applyNetwork({ name: "lab", ipv4Cidr: "10.1.0.0/24" });
  await world.images.applyImage({ name: "debian" });
  for (const [kind, name] of [
    ["network", "lab"],
    ["image", "debian"],
  ]) {
    const share = (flags: string) => n0cli(transport, `${kind} share ${name} ${flags}`);
    const shared = JSON.parse((await share("--with acme,labs --with acme")).stdout);
    expect(shared).toMatchObject({
      visibility: "VISIBILITY_PROJECTS",
      visible_to: ["acme", "labs"],
    });
    const table = (await n0cli(transport, `${kind} get -o table`)).stdout;
    expect(table).toMatch(/VISIBILITY[^]*VISIBILITY_PROJECTS/);
    const theirs = await n0cli(
      acme.transport,
      `--project acme ${kind} get default/${name} -o name`,
    );
    expect(theirs).toMatchObject({ exitCode: 0, stdout: `${name}\n` });
    const listed = await n0cli(acme.transport, `--project acme ${kind} get --with_shared -o name`);
    expect(listed.stdout).toBe(`${name}\n`);
    expect(JSON.parse((await share("--public")).stdout).visibility).toBe("VISIBILITY_PUBLIC");
    expect(JSON.parse((await share("--private")).stdout).visibility).toBe("VISIBILITY_PRIVATE");
    for (const wrong of ["--public --private", "--with acme --public"]) {
      const { exitCode, stderr } = await share(wrong);
      expect(exitCode).toBe(2);
      expect(stderr).toContain("one of --with PROJECT, --public and --private");
    }
    expect((await n0cli(transport, `${kind} share ${name}`)).exitCode).toBe(2);
  }
});
