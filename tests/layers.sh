#!/bin/sh
# SPDX-License-Identifier: MIT
# An include may only point down: the layers of docs/design.md, lowest first.
# Files of one level may include each other. A name with .h is that header alone:
# what run.h and symbols.h declare is made further up, from what uses them.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0

# complain FILE:LINE INCLUDED WHY
complain() {
	echo "layers: $1 includes $2: $3"
	bad=1
}

# level NAME LEVELS...: the level's number; a level is names joined by '|'.
level() {
	name=$1
	shift
	n=0
	for names; do
		n=$((n + 1))
		case "|$names|" in *"|$name|"*)
			echo $n
			return
			;;
		esac
	done
	echo 0
}

# level_of FILE LEVELS...: as a header alone, or else by its name.
level_of() {
	file_name=$1
	shift
	n=$(level "$file_name" "$@")
	[ "$n" -gt 0 ] || n=$(level "${file_name%.*}" "$@")
	echo "$n"
}

# check FOLDER LEVELS...
check() {
	folder=$1
	shift
	for file in "$folder"/*.c "$folder"/*.h; do
		[ -f "$file" ] || continue
		own=$(level_of "$(basename "$file")" "$@")
		[ "$own" -gt 0 ] || complain "$file" "-" "the file stands in no layer of tests/layers.sh"
		for used in $(sed -n "s|^#include \"$folder/\(.*\.h\)\".*|\1|p" "$file"); do
			other=$(level_of "$used" "$@")
			[ "$other" -gt 0 ] && [ "$other" -le "$own" ] ||
				complain "$file" "$folder/$used" "that is a higher layer"
		done
	done
}

# Between folders. Only the commands know the collector, and errors are everyone's.
for pair in 'trace:preload|collector|inspect|analyzer' 'preload:collector|inspect|analyzer' \
	'collector:preload|inspect|analyzer' 'inspect:preload|collector|analyzer' \
	'analyzer:preload|collector|inspect'; do
	folder=${pair%%:*}
	grep -nE "^#include \"(${pair#*:})/" "$folder"/*.[ch] |
		grep -v -e '^analyzer/\(main\|command[a-z_]*\)\.c:.*"\(collector\|inspect\)/' \
			-e '^analyzer/\(roots\|scan\)\.[ch]:.*"inspect/' \
			-e '^\(collector\|inspect\)/.*"analyzer/error\.h"' |
		sed 's/^/layers: /' | grep . && bad=1
done

check trace 'format|varint|columns|image' 'cell' 'encode|buffer|functions|segment' 'clock|decode|packed|pack|unpack' 'block|stacks'
check preload 'compiler|types|sys|cfi' 'log|config' 'segment|spawn|session|alone|unseen' 'real|process' \
	'thread|stack|judge|walk|nodes|unwind|unwind_libunwind|modules' 'objects' 'record' \
	'hooks|sanitizer|hooks_memory|hooks_mapping|hooks_metadata|hooks_io|hooks_transfer|hooks_wait|hooks_descriptors|hooks_sockets|hooks_exec|hooks_confine|hooks_process|hooks_stdio|hooks_syscall|hooks_noted' 'init'
check collector 'proc|outname|command' 'target|run_json|tidy' 'spill|look' 'collector|collect|record|finish|mark'
check inspect 'maps|memory|trace' 'stop' 'snapshot' 'keeper'
check analyzer 'error|vector|map|pattern|arena|pages|spans|format_text|format_function|string_table|protobuf|quantity|canonical' \
	'buckets|thresholds|diff_noise|moment|paths|ranges|profile|mapped|clock|meta|reader|sockaddr|address_ranges|suppressions|demangle|emit_json|emit_text|run.h|module_class|symbols.h|reach_sums|reach_found' \
	'reach|call_target|latency|access|activity|history|growth|habits|loops|names|stacks|read_ahead|merge|debug_files|pack' 'turns' 'heap|heap_result|live|io|io_parts|io_transfers|io_metadata|io_connections|io_result|endpoints|folders|coverage|dwarf_index|symbol_table' 'waits' 'findings|findings_habits|findings_heap|findings_io|findings_net|findings_waits' 'run|replay|filter|replay_notes|replay_reach|symbols' 'tree|tree_activity|tree_history|tree_io|tree_links|tree_peak|costs|heap_views|limits|stack_filter' 'roots' 'scan' 'report|report_leaks|top|leak_clues|suppress|stack_lines' \
	'report_sections|report_json|report_json_io|report_json_views|report_text|report_text_io|report_text_views|report_text_waits|report_text_findings|report_text_connections|report_text_stacks|report_text_frames|report_text_tree|report_reach|report_suppressions' \
	'stack_keys' 'stack_match' 'diff|diff_places|diff_text|diff_json' \
	'check|check_baseline|check_text|check_json|check_junit' \
	'call_tree|export|export_callgrind|export_chrome|export_columns|export_csv|export_folded|export_heaptrack|export_jsonl|export_massif|export_pprof|export_speedscope|export_sqlite|export_tables|export_tables_heap|export_tables_io|export_tables_run|export_tables_stacks|flame|function_kind|thread_costs' \
	'page_activity|page_processes|page_sources|page_stacks|page_words|report_html' \
	'options|progress|pager' 'command_view' 'command_load' 'commands|command_live|command_check|command_diff|command_dump|command_mark|command_export|command_pack|command_record|command_report' \
	'command_help|command_completion' \
	'main'
[ $bad -eq 0 ] && echo "  ok      layers"
exit $bad
