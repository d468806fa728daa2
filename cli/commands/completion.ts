import { Argument, Command } from "commander";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";

export function completionCommand(cli: CliContext): Command {
  const command = new Command("completion")
    .description(
      "print a completion script for a shell; it also completes the names of your resources",
    )
    .addArgument(new Argument("<shell>").choices(Object.keys(SCRIPTS)));
  withExamples(command, [
    "completion bash > /etc/bash_completion.d/n0cli",
    'completion zsh > "$HOME/.zfunc/_n0cli"   # a folder of $fpath',
    "completion fish > ~/.config/fish/completions/n0cli.fish",
  ]);
  return command.action((shell: keyof typeof SCRIPTS) => cli.io.stdout.print(SCRIPTS[shell]));
}

/**
 * Each script runs `n0cli __complete WORD…` with the words up to the cursor. That prints one candidate a line,
 * with a tab and its description if it has one. Without candidates the shell completes file names.
 */
const SCRIPTS = {
  bash: `# bash completion for n0cli
_n0cli() {
  local cur words=("\${COMP_WORDS[@]:1:COMP_CWORD}") line
  cur="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do
    [[ -n "$line" ]] && COMPREPLY+=("$line")
  done < <(n0cli __complete "\${words[@]}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 0 ]]; then
    compopt -o default 2>/dev/null
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
  fi
}
complete -F _n0cli n0cli
`,
  zsh: `#compdef n0cli
_n0cli() {
  local -a lines candidates
  local line
  lines=("\${(@f)$(n0cli __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    [[ -n "$line" ]] && candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( \${#candidates} )); then _describe n0cli candidates; else _files; fi
}
if [ "$funcstack[1]" = "_n0cli" ]; then _n0cli "$@"; else compdef _n0cli n0cli; fi
`,
  fish: `# fish completion for n0cli
function __n0cli_complete
    set -l words (commandline -opc) (commandline -ct)
    n0cli __complete $words[2..-1] 2>/dev/null
end
complete -c n0cli -f -a '(__n0cli_complete)'
complete -c n0cli -n 'contains -- do (commandline -opc)' -F
`,
} as const;
