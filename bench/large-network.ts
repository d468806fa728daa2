import { groupWith, nicOf, openBenchNetworks, signal } from "./bench-network.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";

const SMALL = { name: "small", nics: 10 };
const LARGE = { name: "large", nics: 500 };
/** Numbers of nics of their own for each network. */
const APART = 1_000;

/** What one nic and one change of a rule cost in a network that is full of nics in one security group. */
export const largeNetwork: Measurement = {
  name: "large-network",
  isOnNode: true,
  async run({ runs }) {
    await using networks = openBenchNetworks();
    const group = groupWith("80");
    for (const [i, { name, nics }] of [SMALL, LARGE].entries()) {
      for (let number = 1; number <= nics; number++) {
        await networks.plug(nicOf(networks, name, i * APART + number), [group]);
      }
    }
    const once = (name: string, number: number) => () =>
      timed(async () => {
        const nic = nicOf(networks, name, number);
        await networks.plug(nic, [group]);
        await networks.unplug(nic);
      });
    const plugs = await inTurn(runs, {
      floor: once(SMALL.name, APART - 1),
      ours: once(LARGE.name, 2 * APART - 1),
    });
    let generation = 1n;
    const change = (name: string) => (run: number) =>
      timed(() => {
        generation += 1n;
        const groups = [groupWith(run % 2 === 0 ? "80" : "443")];
        return networks.driver.applyGroups(name, { generation, groups, members: [] }, signal);
      });
    const changes = await inTurn(runs, { floor: change(SMALL.name), ours: change(LARGE.name) });
    return [
      {
        what: `one nic in and out of a network with ${LARGE.nics} others, against with ${SMALL.nics}`,
        unit: "ms",
        floor: median(plugs.floor),
        ours: median(plugs.ours),
        bar: { atMost: 1.5 },
        note: "all nics are in one security group, with their filters",
      },
      {
        what: `a rule changes of a group with ${LARGE.nics} members, against with ${SMALL.nics}`,
        unit: "ms",
        floor: median(changes.floor),
        ours: median(changes.ours),
        bar: { atMost: 1.5 },
        note: "on one node; open connections are judged again when they send",
      },
    ];
  },
};
