/** What nobody but the guest may see. It is in all user data here. */
export const SECRET = "correct-horse-battery";
export const HOSTNAME = "web";
export const FQDN = "web.example.com";
/** As examples/boot-vm.yaml writes it. */
const ARGUMENT = "    login_username: n0\n";

/** A user with the same key as the login user, files, a command and a script: two kinds in one. */
export const MULTIPART = `Content-Type: multipart/mixed; boundary="B"
MIME-Version: 1.0

--B
Content-Type: text/cloud-config

#cloud-config
users:
  - name: alice
    ssh_authorized_keys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIinYbKk2J4sK7Ffu9t+LW8nD2zQ+qxwTboYFZ0sFhXs example
write_files:
  - path: /etc/secret
    permissions: "0600"
    content: ${SECRET}
runcmd:
  - [sh, -c, "echo ran >/run/command"]
--B
Content-Type: text/x-shellscript

#!/bin/sh
hostname >/run/script
--B--
`;

/** A task file whose virtual machine has this user data and another host name than its own. */
export function withUserData(tasks: string, userData: string): string {
  const text = userData.replaceAll(/^(?=.)/gm, "      ");
  return tasks.replaceAll(
    ARGUMENT,
    () => `${ARGUMENT}    hostname: ${FQDN}\n    user_data: |\n${text}`,
  );
}

/** The text, and what base64 has in common wherever it begins. */
export const SPELLINGS: readonly string[] = [
  SECRET,
  ...[0, 1, 2].map((at) => Buffer.from(SECRET.slice(at, at + 15)).toString("base64")),
];

/** The names of those texts that hold the secret in any spelling. */
export function holdersIn(texts: Readonly<Record<string, string>>): string[] {
  return Object.entries(texts).flatMap(([name, text]) =>
    SPELLINGS.some((one) => text.includes(one)) ? [name] : [],
  );
}
