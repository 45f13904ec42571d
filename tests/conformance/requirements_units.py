"""What anyclawd claims of its units: behaviours that supervisors owe their users.

Id -> (source, behaviour, proofs, deferral). The eighty numbered ones were found in the test suites,
manuals and bug reports of systemd, dinit, s6-rc, pebble, process-compose, supervisord and circus;
`requirements_systemd.py` adds what systemd documents of the settings that we took over from it.

A proof is a test, `<file below tests>::<function>`. `test_units.py` fails for a clause without a
proof that exists, for one that is both proved and deferred, and for a test in `units/` that no
clause names.
"""

from typing import NamedTuple


class Requirement(NamedTuple):
    source: str
    behaviour: str
    proofs: tuple[str, ...] = ()
    deferral: str = ""


def proved_by(path: str, *names: str) -> tuple[str, ...]:
    """The proofs that one file holds; `names` without their `test_`."""
    return tuple(f"{path}::test_{name}" for name in names)


COMMANDS = "unit/engine/test_manager_commands.py"
EXPLAIN = "unit/engine/test_explain.py"
JOB = "unit/engine/test_job.py"
ORDER = "unit/engine/test_manager_order.py"
POLICY = "unit/engine/test_manager_policy.py"
NEEDS = "unit/engine/test_manager_requirements.py"
RESTART = "unit/engine/test_restart.py"
SHUTDOWN = "unit/engine/test_manager_shutdown.py"
BOOT = "e2e/test_boot.py"
UNITS = "e2e/test_units.py"
FACES = "e2e/test_faces.py"
CYCLES = "unit/compile/test_bad_inputs.py"
GRAPH = "unit/compile/test_graph.py"
SPAWN = "integration/runtime/test_spawn.py"
PROCESS = "integration/runtime/test_process.py"
TREE = "integration/runtime/test_tree.py"
SWEEP = "integration/runtime/test_sweep.py"
U_JOBS = "conformance/units/test_jobs.py"
U_READINESS = "conformance/units/test_readiness.py"
U_HEALTH = "conformance/units/test_health.py"
U_LIFE = "conformance/units/test_daemon_life.py"
U_RELOAD = "conformance/units/test_daemon_reload.py"
NOTIFY = "integration/runtime/test_notify.py"
PROBE = "integration/runtime/test_probe.py"
HOOKS = "integration/runtime/test_hooks.py"
MONITOR = "unit/runtime/test_monitor.py"
TRANSACTIONS = "e2e/test_transactions.py"
LOGS = "integration/runtime/test_logs.py"
TIMELINE = "unit/draw/test_timeline.py"
MISBEHAVIOUR = "chaos/test_misbehaviour.py"

_LATER = "the daemon does not replace itself in place yet"

NUMBERED = {
    # -- order and requirement --------------------------------------------------------------------
    "01-chain": Requirement(
        "dinit, process-compose",
        "each unit of a chain begins once its predecessor is ready; a stop takes the exact reverse",
        proved_by(ORDER, "a_chain_starts_one_by_one_and_stops_in_reverse")
        + proved_by(U_LIFE, "a_chain_of_five_starts_ready_by_ready_and_stops_in_reverse"),
    ),
    "02-diamond": Requirement(
        "s6-rc",
        "what is independent starts together, what joins it starts after the later one, and "
        "nothing waits for a level",
        proved_by(ORDER, "a_diamond_joins_after_the_later_half", "nothing_waits_for_a_level"),
    ),
    "03-soft-failure": Requirement(
        "dinit",
        "a wanted unit that fails is on record, and who wanted it starts all the same",
        proved_by(ORDER, "a_unit_starts_once_what_it_is_ordered_after_has_settled_even_badly"),
    ),
    "04-hard-failure": Requirement(
        "process-compose",
        "a required unit that fails blocks who requires it, and who requires that one; each names "
        "its cause",
        proved_by(
            NEEDS,
            "a_failed_requirement_blocks_all_above_it_and_each_names_cause_and_causes_cause",
        )
        + proved_by(UNITS, "a_dependent_is_blocked_and_starts_by_itself_later"),
    ),
    "05-milestone": Requirement(
        "dinit",
        "a requirement that ends later does not take its dependents down",
        proved_by(NEEDS, "a_requirement_that_ends_later_disturbs_nobody"),
    ),
    "06-order-alone": Requirement(
        "dinit",
        "an order counts among units that are wanted anyway, and pulls in nothing",
        proved_by(ORDER, "order_alone_pulls_nothing_in"),
    ),
    "07-until": Requirement(
        "process-compose, pebble",
        "`until: exited` waits for any end, `until: succeeded` for a listed success; one end lets "
        "all go that wait for it",
        proved_by(
            ORDER,
            "until_exited_waits_for_any_end_and_fans_out",
            "until_succeeded_lets_a_listed_success_pass",
            "until_succeeded_blocks_after_a_failure_and_recovers_after_a_success",
        )
        + proved_by(UNITS, "a_one_shot_is_over_before_what_comes_after_it"),
    ),
    "08-log-readiness": Requirement(
        "process-compose",
        "a line that is written in two pieces, or to stderr, makes a unit ready; without the line "
        "the start times out",
        proved_by(
            U_LIFE, "a_line_in_two_pieces_makes_a_unit_ready", "without_its_line_a_start_times_out"
        ),
    ),
    "09-soft-stopping": Requirement(
        "dinit",
        "a wanted unit that is just stopping is started again, and who wants it waits for that",
        proved_by(NEEDS, "a_soft_dependency_that_is_stopping_is_started_again_and_waited_for"),
    ),
    "10-cycle": Requirement(
        "systemd",
        "a cycle is told once, from its smallest member on, and nothing of it ever runs; a cycle "
        "that comes with a drop-in leaves the running plan as it is",
        proved_by(CYCLES, "a_cycle_of_five_begins_at_its_smallest_member")
        + proved_by(GRAPH, "each_knot_is_named_once", "a_long_cycle_is_told_in_short")
        + proved_by(U_RELOAD, "a_cycle_that_comes_with_a_drop_in_leaves_everything_as_it_is"),
    ),
    "11-conflicts": Requirement(
        "systemd",
        "a start first stops what it conflicts with; asking for both is refused with both names",
        proved_by(
            NEEDS,
            "starting_a_unit_stops_first_what_it_conflicts_with",
            "two_that_conflict_cannot_be_asked_for_together",
        )
        + proved_by(UNITS, "conflicting_units_take_turns"),
    ),
    "12-branches": Requirement(
        "s6-rc",
        "one branch that fails leaves the others going, and the command tells of both",
        proved_by(NEEDS, "independent_branches_go_on_and_the_command_lists_both")
        + proved_by(U_LIFE, "a_command_tells_of_every_branch_and_fails_if_one_did"),
    ),
    # -- jobs -------------------------------------------------------------------------------------
    "13-merging": Requirement(
        "systemd",
        "merging two jobs of a unit is commutative, associative and transitive; a start and a stop "
        "never merge, and mode `fail` refuses the one that comes second",
        proved_by(
            JOB,
            "every_pair_is_in_both_tables",
            "merging_does_not_care_for_the_order_of_two",
            "merging_does_not_care_for_the_order_of_three",
            "what_merges_with_a_third_merges_with_each_other",
            "nothing_merges_with_a_stop",
        )
        + proved_by(COMMANDS, "mode_fail_refuses_what_would_replace_a_job"),
    ),
    "14-ignore-dependencies": Requirement(
        "systemd",
        "a start that ignores dependencies runs while they are still starting, and replaces the "
        "job that waited for them",
        proved_by(
            COMMANDS,
            "ignoring_dependencies_starts_that_unit_alone_and_now",
            "ignoring_dependencies_ends_the_wait_of_the_queued_job",
        ),
    ),
    "15-try-restart": Requirement(
        "systemd",
        "a try-restart of a unit that waits to be started changes nothing, in every mode",
        proved_by(
            U_JOBS,
            "a_try_restart_of_what_waits_to_start_changes_nothing",
            "a_try_restart_of_what_rests_is_skipped",
        ),
    ),
    "16-cancel": Requirement(
        "systemd",
        "a waiting start that is taken back leaves its unit down and its requirement's job alone",
        proved_by(COMMANDS, "a_stop_before_the_start_has_begun_means_no_start")
        + proved_by(U_JOBS, "canceling_a_waiting_start_leaves_the_requirement_its_own")
        + proved_by(TRANSACTIONS, "a_job_that_waits_can_be_taken_back"),
    ),
    "17-irreversible": Requirement(
        "systemd",
        "nothing starts while the daemon stops, and the stop ends whatever a unit does",
        proved_by(
            SHUTDOWN,
            "nothing_is_started_while_the_daemon_stops",
            "what_not_even_sigkill_ends_is_left_to_the_next_start",
        ),
    ),
    "18-one-transaction": Requirement(
        "systemd",
        "several units in one command are one transaction; the order of the arguments is none",
        proved_by(
            ORDER,
            "the_order_of_arguments_does_not_matter",
            "a_restart_of_several_units_stops_all_before_it_starts_any",
        )
        + proved_by(TRANSACTIONS, "the_order_of_arguments_means_nothing"),
    ),
    "19-dry-run": Requirement(
        "systemd",
        "a dry run tells exactly the jobs that the same request would install",
        proved_by(
            U_JOBS,
            "a_dry_run_tells_exactly_the_jobs_that_are_then_installed",
            "a_dry_run_refuses_as_the_request_does",
        )
        + proved_by(
            TRANSACTIONS,
            "a_dry_run_tells_the_jobs_that_then_run",
            "a_dry_run_is_refused_as_the_command_would_be",
        ),
    ),
    "20-wait": Requirement(
        "systemd",
        "`wait` ends with the unit: 0 for one at rest, its exit code, 128 and the signal's number",
        proved_by(
            TRANSACTIONS,
            "wait_passes_the_status_of_the_unit",
            "start_can_wait_for_the_end_and_tells_the_worst",
        ),
    ),
    "21-stop-while-starting": Requirement(
        "pebble, dinit",
        "a stop wins over a start at any moment of it: no process is left, and none comes later",
        proved_by(
            COMMANDS,
            "a_stop_during_the_start_leaves_no_process",
            "a_stop_that_finds_readiness_sent_but_unread_wins",
            "a_stop_before_the_spawn_is_reported_wins",
        )
        + proved_by(U_JOBS, "a_stop_during_the_pre_step_means_no_process"),
    ),
    "22-restart-while-waiting": Requirement(
        "process-compose",
        "a restart of what waits for a requirement starts it exactly once",
        proved_by(COMMANDS, "a_restart_of_what_waits_for_a_dependency_starts_it_exactly_once"),
    ),
    "23-stop-during-restart": Requirement(
        "dinit, process-compose",
        "a stop during the stop phase of a restart cancels it, for the unit and its dependents; "
        "what is wanted otherwise goes on",
        proved_by(
            COMMANDS,
            "a_stop_during_a_restart_cancels_it",
            "a_stop_during_a_restart_cancels_it_with_its_dependents",
            "stopping_a_dependent_during_the_restart_of_a_requirement_keeps_only_it_down",
        ),
    ),
    "24-many-restarts": Requirement(
        "process-compose",
        "fifty restarts at once never make two processes of one unit, and end with one",
        proved_by(
            COMMANDS,
            "fifty_restarts_at_once_end_with_one_process",
            "restarts_that_keep_coming_while_it_starts_end_with_one_process",
        )
        + proved_by("chaos/test_storm.py", "contradicting_jobs_all_end_and_the_last_wish_wins")
        + proved_by(U_LIFE, "many_restarts_never_make_two_processes"),
    ),
    "25-nothing-to-do": Requirement(
        "pebble",
        "starting what runs and stopping what rests succeeds without a signal or a new run",
        proved_by(
            COMMANDS,
            "starting_what_runs_and_stopping_what_rests_is_done_at_once_and_touches_nothing",
        ),
    ),
    "26-start-in-backoff": Requirement(
        "systemd",
        "a start during the backoff starts at once, and its timer is gone",
        proved_by(COMMANDS, "a_start_during_the_backoff_starts_at_once"),
    ),
    "27-stop-in-backoff": Requirement(
        "pebble",
        "a stop during the backoff means no restart",
        proved_by(COMMANDS, "a_stop_during_the_backoff_means_no_restart"),
    ),
    # -- readiness --------------------------------------------------------------------------------
    "28-notify-access": Requirement(
        "systemd",
        "READY counts from every process of the unit, or with `main` from the main one alone; what "
        "another unit's process sends is rejected and logged",
        proved_by(
            NOTIFY,
            "a_child_may_speak_where_all_may",
            "a_child_is_not_heard_where_only_the_main_process_is",
            "another_unit_is_not_heard",
        ),
    ),
    "29-exec-failure": Requirement(
        "dinit",
        "what cannot be executed fails its start with the kernel's words, and never counts as "
        "started",
        proved_by(
            SPAWN,
            "what_cannot_be_executed_says_why_and_leaves_nothing",
            "a_chain_does_not_hide_that_the_program_cannot_be_executed",
        )
        + proved_by(COMMANDS, "a_program_that_is_missing_fails_the_start_with_the_reason"),
    ),
    "30-fails-at-once": Requirement(
        "systemd",
        "programs that fail at once count as started and failed, many at a time, never as not "
        "executed",
        proved_by(PROCESS, "a_program_that_fails_at_once_has_run")
        + proved_by(U_LIFE, "what_fails_at_once_has_been_started_every_time"),
    ),
    "31-start-timeout": Requirement(
        "dinit",
        "a start that takes too long is ended by TERM, then KILL, with the result `timeout`; a "
        "late READY is ignored",
        proved_by(POLICY, "a_start_that_takes_too_long_is_ended_and_tried_again")
        + proved_by(MISBEHAVIOUR, "it_answers_nothing"),
    ),
    "32-extend-timeout": Requirement(
        "systemd",
        "EXTEND_TIMEOUT_USEC moves the deadline, and only until the next one",
        proved_by(
            U_READINESS,
            "extending_moves_the_deadline_of_the_start",
            "an_extension_has_to_be_renewed",
        )
        + proved_by(NOTIFY, "more_time_is_given_to_who_asks_for_it"),
    ),
    "33-dead-before-ready-is-read": Requirement(
        "systemd",
        "a process that dies before its READY is read fails its start; dependents do not start",
        proved_by(
            NEEDS,
            "a_process_that_dies_between_its_answer_and_our_reading_it_is_not_ready",
        )
        + proved_by(NOTIFY, "who_is_dead_when_its_ready_is_read_was_never_ready"),
    ),
    "34-readiness-lost": Requirement(
        "Start9",
        "readiness that is lost later makes a unit degraded and unrouted; dependents stay",
        proved_by(NEEDS, "a_requirement_that_stops_answering_disturbs_nobody"),
    ),
    "35-restart-of-a-starting-requirement": Requirement(
        "process-compose",
        "dependents wait through the first failure of a requirement, and start once",
        proved_by(
            NEEDS,
            "a_requirement_that_fails_once_and_is_restarted_lets_dependents_start_once",
        ),
    ),
    "36-reloading": Requirement(
        "systemd",
        "RELOADING ends with READY; a reload that never ends times out, and the unit goes on",
        proved_by(
            U_READINESS,
            "a_unit_that_reloads_itself_is_up_again_once_it_says_so",
            "a_reload_that_never_ends_times_out_and_the_unit_goes_on",
            "a_reload_command_that_fails_fails_its_job_alone",
        )
        + proved_by(
            NOTIFY,
            "a_reload_begins_and_ends_by_its_own_word",
            "a_reload_that_never_ends_leaves_it_running",
        ),
    ),
    # -- restarts ---------------------------------------------------------------------------------
    "37-policies": Requirement(
        "systemd",
        "the table of policies and results decides about a restart",
        proved_by(RESTART, "policy_and_result_decide_together", "an_end_is_classified")
        + proved_by(POLICY, "the_policy_decides"),
    ),
    "38-delays": Requirement(
        "pebble, systemd",
        "delays follow the formula up to their cap; jitter stays within its bound and is drawn "
        "once a restart; a reload moves no deadline",
        proved_by(RESTART, "the_delay_grows_up_to_its_cap", "jitter_is_drawn_once_a_restart")
        + proved_by(POLICY, "the_backoff_doubles_up_to_its_cap")
        + proved_by("property/test_restart.py", "a_delay_is_bounded_by_cap_and_jitter")
        + proved_by(U_READINESS, "a_reload_moves_no_deadline_of_a_restart"),
    ),
    "39-stable-run": Requirement(
        "systemd",
        "a stable run returns the delay to its start, so that a crash a month is mended at once",
        proved_by(
            POLICY,
            "a_stable_run_returns_the_backoff_to_its_start",
            "a_unit_that_never_became_ready_was_never_stable",
        ),
    ),
    "40-start-limit": Requirement(
        "systemd",
        "only automatic restarts reach the limit, a person may always start, and the cool-down "
        "ends by itself",
        proved_by(
            POLICY,
            "a_start_limit_cools_down_tries_once_and_cools_down_again",
            "ends_that_lie_far_apart_do_not_trip_the_limit",
        )
        + proved_by(COMMANDS, "a_start_during_the_cool_down_starts_at_once")
        + proved_by(BOOT, "a_cooled_down_unit_gets_one_more_try"),
    ),
    "41-permanent": Requirement(
        "agent gateways",
        "a permanent exit code holds at once and for good, until the configuration changes",
        proved_by(POLICY, "a_permanent_exit_code_holds_until_a_hand_comes")
        + proved_by(RESTART, "exit_codes_have_meanings")
        + proved_by(U_RELOAD, "a_permanent_end_is_tried_again_once_the_configuration_is_mended"),
    ),
    "42-clock": Requirement(
        "supervisord",
        "a jump of the wall clock changes no deadline",
        proved_by(U_LIFE, "a_jump_of_the_wall_clock_moves_no_deadline"),
    ),
    "43-direct": Requirement(
        "systemd",
        "a restart within the policy is no matter of dependents; what is bound stops and comes "
        "back",
        proved_by(
            NEEDS,
            "a_requirement_that_ends_later_disturbs_nobody",
            "what_is_bound_goes_down_and_comes_back",
        ),
    ),
    "44-failed-restart": Requirement(
        "dinit",
        "a restart that cannot spawn, is never ready or is called off ends in its documented state",
        proved_by(
            POLICY,
            "a_spawn_that_fails_for_want_of_memory_is_tried_again",
            "a_start_that_takes_too_long_is_ended_and_tried_again",
        )
        + proved_by(
            U_READINESS,
            "a_restart_that_has_no_program_any_more_fails",
            "a_restart_that_has_no_memory_is_tried_again",
            "a_restart_that_is_never_ready_is_ended_and_tried_again",
            "a_restart_that_is_called_off_comes_to_rest",
            "a_unit_that_restarts_never_does_so_against_its_policy",
        ),
    ),
    "45-all-at-once": Requirement(
        "systemd",
        "a hundred units that crash together come back spread by jitter, no more of them starting "
        "than `start_concurrency`",
        proved_by(ORDER, "the_gate_lets_only_so_many_units_be_starting")
        + proved_by(U_READINESS, "a_hundred_that_crash_together_come_back_apart")
        + proved_by("chaos/test_storm.py", "a_crash_loop_of_many_units_leaves_the_rest_quick"),
    ),
    "46-sticky-stop": Requirement(
        "agent gateways",
        "a stop by hand outlives restarts of dependencies, reloads and the daemon itself",
        proved_by(
            NEEDS,
            "a_soft_dependency_that_is_forgotten_by_hand_stays_down",
            "a_stop_by_hand_is_remembered_over_the_next_boot",
        )
        + proved_by(BOOT, "a_stop_by_hand_outlives_the_daemon")
        + proved_by(U_RELOAD, "what_was_stopped_by_hand_stays_so"),
    ),
    "47-blocked-recovers": Requirement(
        "systemd",
        "what was blocked starts once the blocker is up, unless it was stopped meanwhile",
        proved_by(
            NEEDS,
            "blocked_units_start_by_themselves_once_the_cause_is_mended",
            "what_is_forgotten_while_it_was_blocked_stays_down",
        ),
    ),
    # -- stopping and killing ---------------------------------------------------------------------
    "48-kill-delay": Requirement(
        "pebble, dinit",
        "what ignores TERM gets KILL after `timeouts.stop`; what not even that ends is named and "
        "holds nobody up",
        proved_by(MISBEHAVIOUR, "it_ignores_sigterm_and_eof")
        + proved_by(PROCESS, "what_ignores_sigterm_ends_with_its_tree")
        + proved_by(TREE, "what_does_not_die_is_named_and_does_not_hold_up_the_end"),
    ),
    "49-held-pipe": Requirement(
        "pebble, process-compose",
        "an orphan that holds stdout open does not delay the end",
        proved_by(TREE, "an_orphan_that_holds_stdout_does_not_delay_the_end"),
    ),
    "50-double-fork": Requirement(
        "pebble",
        "a grandchild in a session of its own is gone after the stop, and nobody is a zombie",
        proved_by(MISBEHAVIOUR, "its_grandchild_has_left_the_session")
        + proved_by(TREE, "a_chain_of_sessions_is_followed_to_its_end"),
    ),
    "51-stranger": Requirement(
        "supervisord",
        "a child that nobody knows is reaped, and the daemon lives on",
        proved_by(BOOT, "the_daemon_reaps_strangers"),
    ),
    "52-pid-reuse": Requirement(
        "pitchfork",
        "a stranger that has got the pid of an ended process is never signalled",
        proved_by(SWEEP, "a_pid_that_is_used_again_is_not_killed")
        + proved_by(PROCESS, "after_its_end_nobody_is_signalled_in_its_name"),
    ),
    "53-groups": Requirement(
        "supervisord",
        "a signal reaches the unit's own group alone, and one to what is just ending is no error",
        proved_by(
            PROCESS, "a_stop_reaches_the_group", "after_its_end_nobody_is_signalled_in_its_name"
        ),
    ),
    "54-parallel-stop": Requirement(
        "supervisord",
        "a hundred units stop in the longest of their times, not in the sum",
        proved_by(ORDER, "independent_units_are_stopped_at_the_same_time")
        + proved_by(U_LIFE, "units_stop_at_the_same_time"),
    ),
    "55-stop-in-boot": Requirement(
        "pebble",
        "SIGTERM during the boot stops what is starting, too",
        proved_by(SHUTDOWN, "units_that_are_starting_are_stopped_too")
        + proved_by(BOOT, "sigterm_during_the_boot_stops_it"),
    ),
    "56-second-signal": Requirement(
        "anyclawd",
        "a second signal kills at once, and the daemon always ends within its limit",
        proved_by(SHUTDOWN, "a_second_request_hurries", "the_ceiling_hurries")
        + proved_by(BOOT, "a_second_sigterm_hurries"),
    ),
    "57-killed-daemon": Requirement(
        "flox",
        "after SIGKILL of the daemon its children are gone before the next start starts anything",
        proved_by(BOOT, "after_sigkill_the_next_start_sweeps_and_says_so")
        + proved_by("chaos/test_storm.py", "two_daemons_leave_each_other_alone")
        + proved_by("chaos/test_random.py", "nothing_is_left_whatever_happens"),
    ),
    "58-descriptors": Requirement(
        "anyclawd",
        "a child sees its three descriptors and no other; restarts leak none",
        proved_by(SPAWN, "a_child_has_a_session_of_its_own_and_three_descriptors")
        + proved_by("chaos/test_leaks.py", "restarts_and_requests_leak_no_descriptor"),
    ),
    # -- health -----------------------------------------------------------------------------------
    "59-threshold": Requirement(
        "pebble",
        "fewer failures than the threshold do nothing, the threshold restarts once, a success "
        "begins anew; a look that takes too long has failed, and is killed with its tree",
        proved_by(
            U_HEALTH,
            "below_the_threshold_nothing_happens",
            "the_threshold_restarts_once",
            "a_success_begins_the_count_anew",
        )
        + proved_by(
            PROBE,
            "so_many_failures_in_a_row_restart_a_unit_once",
            "a_look_ends_within_its_timeout",
            "a_look_that_is_given_up_ends_its_program_with_its_tree",
        ),
    ),
    "60-check-in-backoff": Requirement(
        "pebble",
        "a check that fails during the backoff neither cancels nor doubles the restart",
        proved_by(U_HEALTH, "a_check_during_the_backoff_changes_nothing"),
    ),
    "61-check-of-the-killed": Requirement(
        "pebble",
        "a check of a process that was killed behind our back makes one restart",
        proved_by(U_HEALTH, "a_check_of_what_was_killed_behind_our_back_makes_one_restart")
        + proved_by(PROBE, "a_check_of_what_was_killed_behind_our_back_makes_one_restart"),
    ),
    "62-checks-and-reload": Requirement(
        "pebble",
        "checks end with their unit; one that did not change keeps its count over a reload",
        proved_by(U_HEALTH, "an_unchanged_check_keeps_its_count_over_a_reload")
        + proved_by(PROBE, "checks_end_with_their_unit")
        + proved_by(MONITOR, "an_unchanged_check_goes_on_over_a_reload"),
    ),
    "63-storm-of-checks": Requirement(
        "anyclawd",
        "checks that are due together are spread and bounded; what comes late of an ended run is "
        "dropped",
        proved_by(U_HEALTH, "what_comes_late_of_an_ended_run_counts_for_nobody")
        + proved_by(
            MONITOR,
            "a_storm_of_checks_is_bounded_and_nobody_is_left_out",
            "checks_of_units_that_came_up_together_are_spread",
        ),
    ),
    # -- reload and configuration -----------------------------------------------------------------
    "64-unchanged": Requirement(
        "s6-rc, pebble",
        "a reload of the same files sends no signal and begins no run",
        proved_by(U_RELOAD, "the_same_files_change_nothing"),
    ),
    "65-changed": Requirement(
        "s6-rc",
        "a changed program restarts its unit alone, a changed policy nobody; what is removed is "
        "stopped in reverse order, what is added is started",
        proved_by(
            U_RELOAD,
            "another_program_restarts_its_unit_alone",
            "another_policy_restarts_nobody",
            "what_is_gone_stops_in_reverse_and_what_is_new_starts",
        ),
    ),
    "66-kind": Requirement(
        "s6-rc",
        "a unit that becomes a one-shot, or stops being one, is stopped and started",
        proved_by(U_RELOAD, "a_one_shot_that_becomes_a_service_and_back"),
    ),
    "67-bad-file": Requirement(
        "anyclawd",
        "a bad file is told whole, with file, line and column, and the running plan stays",
        proved_by(U_RELOAD, "a_bad_file_is_told_whole_and_changes_nothing"),
    ),
    "68-selection": Requirement(
        "process-compose",
        "what was stopped by hand or is not enabled stays so over a reload",
        proved_by(U_RELOAD, "what_was_stopped_by_hand_stays_so"),
    ),
    "69-reload-in-between": Requirement(
        "systemd",
        "a reload amid other jobs lets every caller have an answer",
        proved_by(U_RELOAD, "callers_have_their_answers_whatever_is_reloaded_meanwhile"),
    ),
    "70-names": Requirement(
        "process-compose",
        "a name that is no unit name is refused or escaped, everywhere alike",
        proved_by("unit/compile/test_original.py", "an_entry_s_key_becomes_part_of_a_unit_name")
        + proved_by(
            U_LIFE,
            "an_entry_of_any_name_is_a_unit_like_all_others",
            "a_unit_of_no_good_name_is_refused",
        ),
    ),
    "71-many-reloads": Requirement(
        "anyclawd",
        "reloads without end, with starts in between, lose no job and leak nothing",
        proved_by(U_RELOAD, "reloads_without_end_leak_nothing_and_lose_no_job"),
    ),
    # -- upgrade and state ------------------------------------------------------------------------
    "72-re-exec": Requirement("systemd", "children and turns outlive the re-exec", deferral=_LATER),
    "73-re-exec-broken": Requirement(
        "systemd", "a re-exec into a broken program is refused", deferral=_LATER
    ),
    "74-disk": Requirement(
        "systemd",
        "with a full disk the daemon goes on and says so; a re-exec would be refused",
        proved_by(U_LIFE, "with_a_full_disk_the_daemon_goes_on_and_says_so"),
    ),
    "75-deadlines": Requirement(
        "systemd", "deadlines stay what they are across a re-exec", deferral=_LATER
    ),
    # -- seeing -----------------------------------------------------------------------------------
    "76-explain": Requirement(
        "systemd",
        "every change has a cause; a blocked unit names the root, how it ended, and when it is "
        "tried again",
        proved_by(EXPLAIN, "situations"),
    ),
    "77-critical-chain": Requirement(
        "systemd",
        "the critical chain adds up to the boot, shows failures, and leaves out what came later",
        proved_by(
            TIMELINE,
            "the_chain_follows_the_dependency_that_settled_last",
            "a_failed_dependency_was_waited_for_too",
            "a_dependency_that_settled_later_was_not_waited_for",
        )
        + proved_by(
            TIMELINE,
            "the_chain_adds_up_to_the_boot",
            "a_unit_that_settles_after_the_boot_is_no_part_of_it",
        ),
    ),
    "78-watch": Requirement(
        "process-compose",
        "between a snapshot and the first change nothing is missed; a slow reader is dropped",
        proved_by(
            "unit/admin/test_fanout.py",
            "a_reader_has_everything_since_it_subscribed",
            "a_reader_that_falls_behind_is_dropped_and_others_are_not",
        )
        + proved_by("integration/admin/test_routes.py", "a_reader_that_stands_still_is_dropped")
        + proved_by(FACES, "events_tell_every_change_of_state"),
    ),
    "79-log-ring": Requirement(
        "pebble",
        "a unit's log is bounded, a flood without a newline blocks nobody, and last words are kept",
        proved_by(
            LOGS,
            "a_ring_is_bounded_in_bytes",
            "a_flood_without_newline_holds_one_line",
            "the_last_words_after_a_flood_are_there",
        )
        + proved_by(PROCESS, "an_endless_writer_leaves_room_for_others")
        + proved_by(MISBEHAVIOUR, "it_writes_a_line_of_64_mb"),
    ),
    "80-idle": Requirement(
        "anyclawd",
        "an idle daemon waits without a timeout",
        proved_by(U_LIFE, "an_idle_daemon_waits_without_a_timeout"),
    ),
}
