"""What anyclawd claims of the settings that it took over from systemd, by systemd's own manual.

As in `requirements_units.py`, which has the behaviours that no manual asks for.
"""

from tests.conformance.requirements_units import Requirement, proved_by

RELATIONS = "conformance/units/test_systemd_relations.py"
SERVICE = "conformance/units/test_systemd_service.py"

DOCUMENTED = {
    # -- Wants=, Requires= -------------------------------------------------------------------------
    "start-pulls-in": Requirement(
        'systemd.unit(5), "Wants=", "Requires=", "BindsTo="',
        "what a unit wants, requires or is bound to is started with it",
        proved_by(RELATIONS, "a_start_pulls_in_a_start"),
    ),
    "wants-failure": Requirement(
        'systemd.unit(5), "Wants="',
        "the failure of a wanted unit is no matter of who wants it",
        proved_by(RELATIONS, "a_wanted_unit_that_fails_fails_nobody"),
    ),
    "wants-nobody": Requirement(
        'systemd.unit(5), "Wants="',
        "nor is it if there is no such unit",
        proved_by(RELATIONS, "a_wanted_unit_that_does_not_exist_fails_nobody"),
    ),
    "requires-failure": Requirement(
        'systemd.unit(5), "Requires=" with "After="',
        "with an order, a unit is not started if what it requires has failed",
        proved_by(RELATIONS, "a_required_unit_that_fails_first_keeps_the_other_from_starting"),
    ),
    "requires-unordered": Requirement(
        'systemd.unit(5), "Requires="',
        "without an order, a unit does not wait for what it requires",
        proved_by(RELATIONS, "without_an_order_the_two_are_started_at_the_same_time"),
    ),
    "requires-stop": Requirement(
        'systemd.unit(5), "Requires="',
        "an explicit stop or restart reaches who requires the unit",
        proved_by(RELATIONS, "stopping_or_restarting_what_is_required_reaches_who_requires_it"),
    ),
    "requires-end": Requirement(
        'systemd.unit(5), "Requires="',
        "an end that nobody asked for does not",
        proved_by(RELATIONS, "an_end_of_what_is_required_that_nobody_asked_for_reaches_nobody"),
    ),
    "requires-skipped": Requirement(
        'systemd.unit(5), "Requires="',
        "a required unit whose condition does not hold fails nobody",
        proved_by(RELATIONS, "a_required_unit_that_is_skipped_is_no_reason_to_fail"),
    ),
    # -- BindsTo=, PartOf= -------------------------------------------------------------------------
    "binds-to-end": Requirement(
        'systemd.unit(5), "BindsTo="',
        "whatever ends a unit also stops what is bound to it",
        proved_by(RELATIONS, "what_is_bound_stops_when_the_other_ends_in_any_way"),
    ),
    "binds-to-skipped": Requirement(
        'systemd.unit(5), "BindsTo=" with "After="',
        "a skipped unit is not there for what is bound to it",
        proved_by(RELATIONS, "what_is_bound_to_a_skipped_unit_does_not_start"),
    ),
    "part-of-stop": Requirement(
        'systemd.unit(5), "PartOf="',
        "a stop or a restart of the whole reaches its parts",
        proved_by(RELATIONS, "a_part_is_stopped_and_restarted_with_the_whole"),
    ),
    "part-of-one-way": Requirement(
        'systemd.unit(5), "PartOf="',
        "what is asked of a part does not reach the whole",
        proved_by(RELATIONS, "a_part_is_no_matter_of_the_whole"),
    ),
    "part-of-start": Requirement(
        'systemd.unit(5), "PartOf="',
        "nor does a start of the whole reach its parts",
        proved_by(RELATIONS, "a_part_is_not_started_with_the_whole"),
    ),
    # -- Conflicts= --------------------------------------------------------------------------------
    "conflicts-either-way": Requirement(
        'systemd.unit(5), "Conflicts="',
        "a start stops what conflicts with the unit, whichever of the two says so",
        proved_by(RELATIONS, "starting_one_of_two_that_conflict_stops_the_other"),
    ),
    "conflicts-required": Requirement(
        'systemd.unit(5), "Conflicts="',
        "a transaction that requires both of two that conflict is refused",
        proved_by(RELATIONS, "two_required_units_that_conflict_fail_the_transaction"),
    ),
    "conflicts-wanted": Requirement(
        'systemd.unit(5), "Conflicts="',
        "the one of them that is not required is left out",
        proved_by(RELATIONS, "of_two_that_conflict_the_one_that_is_not_required_is_left_out"),
    ),
    # -- Before=, After= ---------------------------------------------------------------------------
    "after-start": Requirement(
        'systemd.unit(5), "After="',
        "a unit is started when what it is ordered after has finished starting up",
        proved_by(RELATIONS, "after_delays_the_start_until_the_other_is_up"),
    ),
    "after-stop": Requirement(
        'systemd.unit(5), "Before=", "After="',
        "stops go in the inverse order",
        proved_by(RELATIONS, "stops_go_in_the_inverse_order"),
    ),
    "stop-before-start": Requirement(
        'systemd.unit(5), "Before=", "After="',
        "of a stop and a start that are ordered in any way the stop goes first",
        proved_by(RELATIONS, "a_stop_goes_before_a_start_whichever_way_the_two_are_ordered"),
    ),
    "no-order": Requirement(
        'systemd.unit(5), "Before=", "After="',
        "what is not ordered goes at the same time",
        proved_by(RELATIONS, "without_any_order_both_go_at_the_same_time"),
    ),
    # -- OnFailure= --------------------------------------------------------------------------------
    "on-failure": Requirement(
        'systemd.unit(5), "OnFailure="',
        "what `on_failure` names is started when the unit enters its failed state",
        proved_by(RELATIONS, "a_failure_starts_what_on_failure_names"),
    ),
    "on-failure-restart": Requirement(
        'systemd.unit(5), "OnFailure="',
        "a unit that is restarted by its policy has not failed",
        proved_by(RELATIONS, "a_restart_by_policy_is_no_failure"),
    ),
    "on-failure-success": Requirement(
        'systemd.unit(5), "OnFailure="',
        "nor has one that ended well, or was stopped",
        proved_by(RELATIONS, "a_clean_end_or_a_stop_starts_nothing"),
    ),
    # -- Condition...= -----------------------------------------------------------------------------
    "condition": Requirement(
        'systemd.unit(5), "Conditions and asserts"',
        "a condition that does not hold skips the start, which is no failure",
        proved_by(RELATIONS, "an_unmet_condition_skips_the_start_and_is_no_failure"),
    ),
    "condition-when": Requirement(
        'systemd.unit(5), "Conditions and asserts"',
        "conditions are looked at when the start is about to run, and not earlier",
        proved_by(RELATIONS, "conditions_are_looked_at_when_the_start_is_about_to_run"),
    ),
    "condition-again": Requirement(
        'systemd.unit(5), "Conditions and asserts"',
        "they are looked at again on each start",
        proved_by(RELATIONS, "conditions_are_looked_at_again_at_the_next_start"),
    ),
    # -- jobs and their modes ----------------------------------------------------------------------
    "ignore-dependencies": Requirement(
        'systemctl(1), "--job-mode="',
        "a job that ignores dependencies pulls in nothing and waits for nobody",
        proved_by(RELATIONS, "ignoring_dependencies_pulls_in_nothing_and_waits_for_nobody"),
    ),
    "one-shot-up": Requirement(
        'systemd.service(5), "RemainAfterExit="',
        "a one-shot that has ended well counts as up for who requires it",
        proved_by(RELATIONS, "a_one_shot_that_has_ended_counts_as_up"),
    ),
    # -- ExecStartPre=, ExecStartPost= -------------------------------------------------------------
    "start-pre": Requirement(
        'systemd.service(5), "ExecStartPre="',
        "`exec_start_pre` runs before the main process",
        proved_by(SERVICE, "the_main_process_waits_for_the_commands_before_it"),
    ),
    "start-pre-failure": Requirement(
        'systemd.service(5), "ExecStartPre="',
        "if it fails there is no main process, and the start has failed",
        proved_by(SERVICE, "a_command_before_that_fails_fails_the_start"),
    ),
    "start-post": Requirement(
        'systemd.service(5), "ExecStartPost="',
        "`exec_start_post` runs once the unit has said that it is ready",
        proved_by(SERVICE, "commands_after_run_once_the_unit_is_ready"),
    ),
    "start-post-order": Requirement(
        'systemd.service(5), "ExecStartPost="',
        "who is ordered after the unit waits for it, too",
        proved_by(SERVICE, "who_is_ordered_after_waits_for_the_commands_after"),
    ),
    "start-post-failure": Requirement(
        'systemd.service(5), "ExecStartPost="',
        "if it fails the unit is ended, and the start has failed",
        proved_by(SERVICE, "a_command_after_that_fails_ends_the_unit"),
    ),
    # -- ExecReload= -------------------------------------------------------------------------------
    "reload": Requirement(
        'systemd.service(5), "ExecReload="',
        "`exec_reload` runs beside the process, which stays",
        proved_by(SERVICE, "a_reload_runs_its_commands_and_leaves_the_process"),
    ),
    "reload-none": Requirement(
        'systemctl(1), "reload"',
        "a unit that has no `exec_reload` refuses to reload",
        proved_by(SERVICE, "a_unit_without_a_reload_refuses_one"),
    ),
    # -- ExecStopPost= -----------------------------------------------------------------------------
    "stop-post": Requirement(
        'systemd.service(5), "ExecStopPost="',
        "`exec_stop_post` runs whatever has ended the unit",
        proved_by(SERVICE, "commands_after_the_stop_run_whatever_ended_the_unit"),
    ),
    "stop-post-restart": Requirement(
        'systemd.service(5), "Restart="',
        "and before the unit is started again",
        proved_by(SERVICE, "commands_after_the_stop_come_before_the_restart"),
    ),
    "stop-post-timeout": Requirement(
        'systemd.service(5), "TimeoutStopSec="',
        "it has the time of a stop, and is killed then",
        proved_by(SERVICE, "commands_after_the_stop_that_take_too_long_are_killed"),
    ),
    # -- TimeoutStartSec=, TimeoutStopSec=, SIGKILL ------------------------------------------------
    "timeout-start": Requirement(
        'systemd.service(5), "TimeoutStartSec="',
        "each step of a start has its time; what takes longer has failed",
        proved_by(SERVICE, "each_step_of_the_start_has_its_time"),
    ),
    "timeout-stop": Requirement(
        'systemd.service(5), "TimeoutStopSec="; systemd.kill(5), "SendSIGKILL="',
        "what does not end within its time after SIGTERM gets SIGKILL",
        proved_by(SERVICE, "what_ignores_sigterm_gets_sigkill_after_the_stop_s_time"),
    ),
    "stopping": Requirement(
        'sd_notify(3), "STOPPING=1"',
        "a unit that says STOPPING=1 is not signalled",
        proved_by(SERVICE, "a_stop_that_the_service_announces_is_waited_for"),
    ),
    "extend-stop": Requirement(
        'sd_notify(3), "EXTEND_TIMEOUT_USEC="',
        "EXTEND_TIMEOUT_USEC extends a stop as well",
        proved_by(SERVICE, "a_stop_can_be_given_more_time"),
    ),
    # -- WatchdogSec= ------------------------------------------------------------------------------
    "watchdog-start": Requirement(
        'systemd.service(5), "WatchdogSec="',
        "a watchdog counts from readiness on",
        proved_by(SERVICE, "the_watchdog_counts_from_readiness_on"),
    ),
    "watchdog-fed": Requirement(
        'systemd.service(5), "WatchdogSec="; sd_notify(3), "WATCHDOG=1"',
        "WATCHDOG=1 sets it back",
        proved_by(SERVICE, "what_feeds_its_watchdog_lives"),
    ),
    "watchdog-missed": Requirement(
        'systemd.service(5), "WatchdogSec="',
        "one that is missed, or triggered, brings SIGABRT and a restart by `on-abnormal`",
        proved_by(SERVICE, "a_watchdog_that_is_missed_aborts_the_service"),
    ),
    "watchdog-usec": Requirement(
        'sd_notify(3), "WATCHDOG_USEC="',
        "WATCHDOG_USEC sets how often it is expected",
        proved_by(SERVICE, "the_service_may_set_the_time_of_its_watchdog"),
    ),
    # -- MAINPID=, OOMPolicy= ----------------------------------------------------------------------
    "main-pid": Requirement(
        'sd_notify(3), "MAINPID="',
        "MAINPID names another main process",
        proved_by(SERVICE, "another_process_may_become_the_main_one"),
    ),
    "oom": Requirement(
        'systemd.service(5), "OOMPolicy="',
        "one process that is killed for want of memory ends the unit, with result `oom-kill`",
        proved_by(SERVICE, "a_kill_for_want_of_memory_stops_the_whole_service"),
    ),
    # -- Restart= ----------------------------------------------------------------------------------
    "restart-table": Requirement(
        'systemd.service(5), "Restart="',
        "the cause of the end decides about a restart, as in the table",
        proved_by(SERVICE, "the_cause_of_the_end_decides_about_a_restart"),
    ),
    "clean-signals": Requirement(
        'systemd.service(5), "Restart="',
        "SIGHUP, SIGINT, SIGTERM and SIGPIPE are clean ends",
        proved_by(SERVICE, "signals_that_ask_to_go_are_clean"),
    ),
    "restart-not-after-stop": Requirement(
        'systemd.service(5), "Restart="',
        "a stop by hand is never followed by a restart",
        proved_by(SERVICE, "a_stop_by_hand_is_never_followed_by_a_restart"),
    ),
    "success-exit-status": Requirement(
        'systemd.service(5), "SuccessExitStatus="',
        "`exit_codes: {success}` lists what counts as success",
        proved_by(SERVICE, "listed_codes_count_as_success"),
    ),
    "restart-prevent-exit-status": Requirement(
        'systemd.service(5), "RestartPreventExitStatus="',
        "`exit_codes: {permanent}` lists what prevents a restart",
        proved_by(SERVICE, "listed_codes_prevent_a_restart"),
    ),
    "restart-sec": Requirement(
        'systemd.service(5), "RestartSec="',
        "a restart waits for its backoff",
        proved_by(SERVICE, "a_restart_waits_its_time"),
    ),
    "start-limit": Requirement(
        'systemd.unit(5), "StartLimitBurst="; systemctl(1), "reset-failed"',
        "too many restarts fail the unit until it is reset",
        proved_by(SERVICE, "too_many_starts_fail_the_unit_until_it_is_reset"),
    ),
    # -- Type= -------------------------------------------------------------------------------------
    "type-oneshot": Requirement(
        'systemd.service(5), "Type="',
        "a one-shot is up once it has ended well, and its dependents start then",
        proved_by(SERVICE, "a_one_shot_is_up_once_it_has_ended_well"),
    ),
    "type-notify": Requirement(
        'systemd.service(5), "Type="',
        "a notifying unit that ends before READY=1 has failed",
        proved_by(SERVICE, "a_notifying_service_that_ends_before_it_is_ready_has_failed"),
    ),
}
