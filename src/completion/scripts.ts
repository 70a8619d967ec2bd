import { CANDIDATES_WORD } from '../config/commandLine.ts';
import type { Shell } from '../config/toolCommandLines.ts';

/** The line by which the command says that files are to be completed, beside whatever else it names. */
export const FILES_LINE = ':files';

/**
 * Scripts that ask the command itself on each press of the key. Words go to it as they are, as arguments of their own:
 * what stands on an unfinished line is never evaluated.
 *
 * bash divides words at `=` and `:` too, so that only the part after it is replaced there; zsh and fish replace whole
 * words. The command accounts for both.
 */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# bash completion for kafkaload
_kafkaload() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == '${FILES_LINE}' ]]; then
      compopt -o default 2>/dev/null
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done < <("\${1/#\\~/$HOME}" completion ${CANDIDATES_WORD} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _kafkaload kafkaload
`,
  zsh: `#compdef kafkaload
_kafkaload() {
  local line value files=0 found=1
  local -a candidates
  while IFS= read -r line; do
    if [[ $line == '${FILES_LINE}' ]]; then
      files=1
    else
      value="\${line%%$'\\t'*}"
      line="\${line#"$value"}"
      candidates+=("\${value//:/\\\\:}\${line/$'\\t'/:}")
    fi
  done < <("\${words[1]/#\\~/$HOME}" completion ${CANDIDATES_WORD} "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#candidates )) && _describe kafkaload candidates && found=0
  (( files )) && _files && found=0
  return $found
}
compdef _kafkaload kafkaload
`,
  fish: `# fish completion for kafkaload
function __kafkaload_ask
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    command $words[1] completion ${CANDIDATES_WORD} $words[2..-1] "$last" 2>/dev/null
end
complete -c kafkaload -f -a "(__kafkaload_ask | string match -v -- '${FILES_LINE}')"
complete -c kafkaload -n "__kafkaload_ask | string match -q -- '${FILES_LINE}'" -F
`,
};

/** The script for a shell, to be sourced by it. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell];
}
