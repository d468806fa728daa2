import { expect, test } from "vitest";
import {
  additions,
  elementsIn,
  filterOf,
  identityIn,
  removals,
  withoutElements,
} from "./filter-elements.ts";

const identity = { hardwareAddress: "52:54:00:ab:00:01", addresses: ["10.0.0.1", "fd00::1"] };

/** As nft prints it. */
const LISTING = `table bridge n0stack {
	comment "n0stack:n0-:filters:1"
	set ports {
		type ifname
		elements = { "web0-1" comment "52:54:00:ab:00:01 10.0.0.1 fd00::1",
			     "web1-1" }
	}

	set macs {
		typeof iifname . ether saddr
		elements = { "web0-1" . 52:54:00:ab:00:01 }
	}

	set ipv4 {
		typeof iifname . ip saddr
		elements = { "web0-1" . 10.0.0.1 }
	}

	set ipv6 {
		typeof iifname . ip6 saddr
		elements = { "web0-1" . fd00::1,
			     "web0-1" . fe80::5054:ff:feab:1 }
	}

	set targets {
		typeof iifname . @th,64,128
		elements = { "web0-1" . 0xfd000000000000000000000000000001,
			     "web0-1" . 0xfe80000000000000505400fffeab0001 }
	}

	set options {
		typeof iifname . @th,192,64
		elements = { "web0-1" . 0x101525400ab0001,
			     "web0-1" . 0x201525400ab0001 }
	}

	set empty {
		type ifname
	}

	chain guest {
		ether type vmap { ip : goto guest_ipv4, arp : goto guest_arp, ip6 : goto guest_ipv6 }
	}
}
`;

test("nft's listing says whose packets a port passes, and what is no filter of ours", () => {
  const found = elementsIn(LISTING);
  expect([...found.keys()]).toEqual(["web0-1", "web1-1"]);
  expect(filterOf(found.get("web0-1"))).toEqual({ state: "whole", identity });
  expect(filterOf(found.get("web1-1"))).toEqual({ state: "altered" });
  expect(filterOf(found.get("web2-1"))).toEqual({ state: "absent" });
});

test("a filter with an element less, or one that does not belong to it, is altered", () => {
  const whole = [...elementsIn(LISTING).get("web0-1")!];
  expect(whole).toHaveLength(9);
  for (const missing of whole) {
    const { state, identity: found } = filterOf(new Set(whole.filter((one) => one !== missing)));
    // Without its address, it is the filter of a guest with one address less, which verify compares.
    if (missing === "ipv4 10.0.0.1") expect(found?.addresses).toEqual(["fd00::1"]);
    else expect(state, missing).toBe("altered");
  }
  for (const more of ["macs 52:54:00:ab:00:02", "targets 0x1", "options 0x1", "ipv6 fd00::2"]) {
    expect(filterOf(new Set([...whole, more])).state, more).toBe("altered");
  }
});

test("a table is compared without its elements", () => {
  const rules = withoutElements(LISTING);
  expect(rules).not.toMatch(/web\d/);
  expect(rules).toContain("set ports {\n\t\ttype ifname\n\t}");
  expect(rules).toContain("vmap { ip : goto guest_ipv4");
});

test("a removal takes exactly what the addition made, in keys of whole words", () => {
  const elements = elementsIn(LISTING).get("web0-1")!;
  const place = ({ set, key }: { set: string; key: Buffer }) => `${set} ${key.toString("hex")}`;
  const added = additions("create", "web0-1", identity);
  expect(added.map(place).sort()).toEqual(removals("web0-1", elements).map(place).sort());
  expect(added.filter(({ key }) => key.length % 4 !== 0)).toEqual([]);
  expect(added[0]).toMatchObject({ verb: "create", set: "ports" });
});

test("the comment of a port is its identity, unless that is too long", () => {
  const [port] = additions("create", "web0-1", identity);
  expect(identityIn(port!.comment)).toEqual(identity);
  const addresses = Array.from({ length: 9 }, (_, i) => `fd00:1:2:3:4:5:6:${i + 1}`);
  const [long] = additions("create", "web0-1", { ...identity, addresses });
  expect(long).not.toHaveProperty("comment");
  expect(identityIn(undefined)).toBeUndefined();
  expect(identityIn("somebody's note")).toBeUndefined();
});
