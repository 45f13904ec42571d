"""What anyclawd claims of ACP, version 1, as the client it is.

Id -> (source, behaviour, proofs, deferral). Sources are the pages of the protocol's documentation;
`field` stands for what agents have been seen to do. A proof is a test, `<file below
tests>::<function>`; most of them are in `acp/`, where a real daemon speaks with a real agent.
`test_acp.py` fails for a clause without a proof that exists, for one that is both proved and
deferred, and for a test in `acp/` that no clause names.
"""

from tests.conformance.requirements_units import Requirement, proved_by

SETUP = "conformance/acp/test_setup.py"
ACCOUNT = "conformance/acp/test_account.py"
HISTORY = "conformance/acp/test_history.py"
TURNS = "conformance/acp/test_turns.py"
PERMISSION = "conformance/acp/test_permission.py"
CHOICES = "conformance/acp/test_choices.py"
WORKSPACE = "conformance/acp/test_workspace.py"
ELICITATION = "conformance/acp/test_elicitation.py"
SESSIONS = "conformance/acp/test_sessions.py"
TRANSCRIPTS = "conformance/acp/test_transcripts.py"
ROUTE = "unit/route/test_session.py"
KILL = "chaos/test_kill.py"
GATEWAY = "integration/gateway/test_gateway.py"
PATIENCE = "integration/gateway/test_patience.py"

ACP = {
    # -- transport --------------------------------------------------------------------------------
    "frame-is-a-line": Requirement(
        "Transports",
        "a frame is one line of UTF-8, whatever a user has written",
        proved_by(TURNS, "every_frame_is_one_line_of_its_own"),
    ),
    "stdout-noise": Requirement(
        "Transports, field",
        "what is no frame is skipped: lines of text, arrays, bytes that are no UTF-8",
        proved_by(TURNS, "what_is_wrong_harms_nothing"),
    ),
    "stderr-is-free": Requirement(
        "Transports, field",
        "stderr is drained, however much is written there and whenever",
        proved_by(
            TURNS,
            "a_flood_on_stderr_before_the_handshake_is_drained",
            "what_is_wrong_harms_nothing",
        ),
    ),
    "id-as-text": Requirement(
        "JSON-RPC, field",
        "an id that comes back as text is the id that was sent",
        proved_by(TURNS, "ids_that_come_back_as_text_are_known"),
    ),
    "stop": Requirement(
        "field",
        "an agent is stopped by the end of its stdin, then by SIGTERM, then by SIGKILL",
        proved_by(TURNS, "an_agent_that_ignores_every_request_to_stop_is_killed"),
    ),
    "transcripts": Requirement(
        "all",
        "whole conversations are, frame by frame, what they were when somebody last looked",
        proved_by(TRANSCRIPTS, "a_conversation_is_what_it_was"),
    ),
    # -- initialization ---------------------------------------------------------------------------
    "initialize-first": Requirement(
        "Initialization",
        "initialize precedes all else, with the newest version that is spoken, and who we are",
        proved_by(SETUP, "initialize_precedes_all_else", "the_official_sdk_takes_us_for_a_client"),
    ),
    "initialize-version": Requirement(
        "Initialization",
        "an agent with a version that cannot be spoken is disconnected, and that is said",
        proved_by(SETUP, "a_version_we_cannot_speak_ends_the_connection"),
    ),
    "initialize-capabilities": Requirement(
        "Initialization",
        "what is served is advertised, and nothing else",
        proved_by(SETUP, "what_is_not_served_is_not_advertised")
        + proved_by(WORKSPACE, "each_of_the_methods_is_advertised_where_it_is_served")
        + proved_by(ELICITATION, "elicitation_is_advertised"),
    ),
    "initialize-options": Requirement(
        "Extensibility; 0.9",
        "options are in `_meta`, and in the root where older agents look",
        proved_by(SETUP, "options_are_in_meta_and_where_older_agents_look"),
    ),
    # -- authentication ---------------------------------------------------------------------------
    "authenticate": Requirement(
        "Authentication",
        "an administrator logs an agent in by one of its methods; nothing does so by itself",
        proved_by(SETUP, "an_agent_that_wants_a_login_says_so_to_its_user")
        + proved_by(ACCOUNT, "an_agent_is_logged_in_and_out"),
    ),
    "logout": Requirement(
        "Authentication",
        "logout is sent to agents that advertise it, when an administrator asks",
        proved_by(ACCOUNT, "an_agent_is_logged_in_and_out", "a_logout_needs_to_be_offered"),
    ),
    # -- sessions ---------------------------------------------------------------------------------
    "session-new": Requirement(
        "Session Setup",
        "cwd is absolute and mcpServers is a list; each chat has a session of its own",
        proved_by(
            SETUP,
            "a_session_has_an_absolute_directory_and_a_list_of_servers",
            "each_chat_has_a_session_of_its_own",
        ),
    ),
    "session-mcp-servers": Requirement(
        "Session Setup, MCP Servers",
        "servers are offered over HTTP to agents that advertise it, and as programs to all others",
        proved_by(
            "integration/gateway/test_tool_desk.py",
            "a_session_has_an_entry_for_each_tool_and_one_token_for_all",
            "an_agent_without_http_gets_a_program_that_forwards",
        )
        + proved_by("e2e/test_tools.py", "an_agent_without_http_is_given_a_program"),
    ),
    "session-id-is-the-chats": Requirement(
        "field",
        "an id that another chat has already is not taken from the agent",
        proved_by(SETUP, "an_id_that_another_chat_has_is_not_taken"),
    ),
    "session-early-updates": Requirement(
        "field",
        "updates that precede the answer to session/new are kept for it",
        proved_by(SETUP, "updates_before_the_answer_to_session_new_are_kept"),
    ),
    "session-load-resume-gated": Requirement(
        "Session Setup",
        "load and resume are sent to agents that advertise them; resume is preferred",
        proved_by(
            SETUP,
            "after_a_crash_the_ways_back_are_tried_in_order",
            "the_official_sdk_takes_up_a_session_after_a_crash",
        ),
    ),
    "session-again": Requirement(
        "Session Setup",
        "load and resume carry cwd and mcpServers in full, as they were",
        proved_by(SETUP, "an_attempt_to_come_back_carries_all_of_the_first"),
    ),
    "session-replay": Requirement(
        "Session Setup; field",
        "what a load replays, and a resume that should not, is shown to nobody",
        proved_by(SETUP, "after_a_crash_the_ways_back_are_tried_in_order"),
    ),
    "recovery-order": Requirement(
        "field",
        "resume, load, new: one attempt each, whatever is advertised",
        proved_by(
            SETUP, "after_a_crash_the_ways_back_are_tried_in_order", "recovery_depends_on_no_code"
        ),
    ),
    "recovery-bounded": Requirement(
        "field",
        "an attempt that is not answered is given up; an answer that comes later means nothing",
        proved_by(PATIENCE, "an_attempt_to_come_back_that_is_not_answered_is_given_up"),
    ),
    "recovery-id": Requirement(
        "field",
        "a session may come back under another id, which is used from then on",
        proved_by(SETUP, "a_session_may_come_back_under_another_id"),
    ),
    "recovery-history": Requirement(
        "field",
        "a session that cannot be taken up is made anew, and told once what was said before",
        proved_by(HISTORY, "a_new_session_is_told_what_was_said_before"),
    ),
    "session-lost": Requirement(
        "field",
        "a session that the agent forgets while it lives is made anew, whatever error tells of it",
        proved_by(SETUP, "a_session_that_the_agent_has_lost_is_made_anew"),
    ),
    "session-close": Requirement(
        "Session Close",
        "a live session that is left is closed where the agent can",
        proved_by(
            SETUP,
            "a_session_that_is_left_is_closed_where_the_agent_can",
            "a_session_is_not_closed_where_the_agent_cannot",
        ),
    ),
    "session-fork": Requirement(
        "Session Fork",
        "a fork is sent to agents that advertise it, and becomes a session of its own",
        proved_by(SESSIONS, "a_fork_goes_on_by_itself", "a_fork_needs_to_be_offered"),
    ),
    "session-delete": Requirement(
        "Session Delete",
        "what is erased here is deleted there, where the agent can",
        proved_by(SESSIONS, "what_is_erased_is_deleted_at_the_agent_too"),
    ),
    "session-list": Requirement(
        "Session List",
        "cursors are opaque and last for one listing",
        proved_by("integration/gateway/test_agent.py", "sessions_are_listed_page_by_page"),
    ),
    "mode": Requirement(
        "Session Modes",
        "a mode is set by session/set_mode where an agent has no config options",
        proved_by(CHOICES, "a_mode_is_set_where_there_are_modes_only"),
    ),
    "config-options": Requirement(
        "Session Config Options",
        "options win over modes, are set one by one, and may be changed by the agent",
        proved_by(
            CHOICES,
            "config_options_win_over_modes",
            "what_the_agent_sets_by_itself_is_known",
            "the_official_sdk_is_set",
        ),
    ),
    "config-options-unknown": Requirement(
        "Session Config Options",
        "options of unknown types and categories are borne",
        proved_by(CHOICES, "options_of_unknown_types_are_borne"),
    ),
    # -- turns ------------------------------------------------------------------------------------
    "prompt-content": Requirement(
        "Content",
        "a prompt is a list of content blocks; files are links where resources are not embedded",
        proved_by(
            TURNS,
            "every_kind_of_content_is_a_block",
            "the_official_sdk_takes_every_kind_of_content",
        ),
    ),
    "prompt-one-at-a-time": Requirement(
        "Prompt Turn",
        "a session has one turn at a time, and each session has its own",
        proved_by(TURNS, "a_session_has_one_turn_at_a_time"),
    ),
    "stop-reasons": Requirement(
        "Prompt Turn",
        "every stop reason ends the turn, one that is unknown too",
        proved_by(TURNS, "every_stop_reason_ends_the_turn"),
    ),
    "prompt-error": Requirement(
        "Prompt Turn",
        "an error ends the turn and is told to the user",
        proved_by(TURNS, "an_error_of_the_agent_is_told_to_the_user"),
    ),
    "prompt-answered-twice": Requirement(
        "field",
        "a second answer to a prompt means nothing",
        proved_by(TURNS, "a_second_answer_means_nothing"),
    ),
    "prompt-never-answered": Requirement(
        "field",
        "a turn ends that its agent forgets, or dies in",
        proved_by(TURNS, "an_agent_that_dies_in_a_turn_ends_it")
        + proved_by(GATEWAY, "silence_ends_the_turn"),
    ),
    "cancel": Requirement(
        "Prompt Turn",
        "session/cancel is a notification; the turn ends with the prompt's answer, updates are "
        "shown until then",
        proved_by(
            TURNS,
            "a_cancelled_turn_ends_when_the_agent_says_so",
            "a_stream_without_end_is_cancelled",
            "the_official_sdk_is_cancelled",
        ),
    ),
    "cancel-bounded": Requirement(
        "Prompt Turn",
        "a cancelled turn that is never answered ends after a time of ours",
        proved_by(PATIENCE, "a_cancelled_turn_that_is_never_answered_ends_all_the_same"),
    ),
    "cancel-questions": Requirement(
        "Prompt Turn",
        "the questions of a cancelled turn are answered `cancelled`",
        proved_by(PERMISSION, "a_cancelled_turn_cancels_its_requests")
        + proved_by(ELICITATION, "a_cancelled_turn_cancels_its_elicitation"),
    ),
    "cancel-request": Requirement(
        "Cancellation",
        "a request that is given up is cancelled by $/cancel_request; one of the agent's that it "
        "takes back is answered",
        proved_by(PATIENCE, "an_attempt_to_come_back_that_is_not_answered_is_given_up")
        + proved_by(PATIENCE, "a_cancelled_turn_that_is_never_answered_ends_all_the_same")
        + proved_by(PERMISSION, "a_request_that_the_agent_takes_back_is_withdrawn"),
    ),
    # -- updates ----------------------------------------------------------------------------------
    "updates-in-order": Requirement(
        "Prompt Turn; field",
        "updates reach the chat in the order in which they were sent",
        proved_by(TURNS, "updates_keep_their_order"),
    ),
    "updates-late": Requirement(
        "field",
        "updates after the answer to the prompt are shown",
        proved_by(TURNS, "updates_after_the_answer_are_shown"),
    ),
    "tool-calls-are-upserts": Requirement(
        "Tool Calls; field",
        "an update of a tool call needs no tool call before it",
        proved_by(
            TURNS,
            "an_update_of_a_tool_call_needs_no_beginning",
            "the_official_sdk_uses_a_tool",
        ),
    ),
    "updates-unknown": Requirement(
        "Extensibility",
        "updates of unknown kinds, unknown content and `_meta` are passed on as they are",
        proved_by(TURNS, "what_is_unknown_is_passed_on_as_it_is"),
    ),
    "updates-wrong": Requirement(
        "Schema, x-deserialize-default-on-error",
        "a member of the wrong type counts as absent; the connection bears it",
        proved_by(TURNS, "what_is_wrong_harms_nothing"),
    ),
    # -- permission -------------------------------------------------------------------------------
    "permission-outcome": Requirement(
        "Tool Calls",
        "a request for permission is answered by an option that it offers, or `cancelled`",
        proved_by(
            PERMISSION,
            "the_chosen_option_is_the_answer",
            "the_official_sdk_asks_and_is_answered",
            "an_option_that_was_not_offered_is_no_consent",
            "a_request_without_options_is_denied",
        ),
    ),
    "permission-timeout": Requirement(
        "field",
        "a request that nobody answers is rejected in time",
        proved_by(PERMISSION, "a_request_that_nobody_answers_is_rejected_in_time"),
    ),
    "permission-once": Requirement(
        "field",
        "the first answer counts, given by the one who was asked, and by no word of a message",
        proved_by(
            PERMISSION,
            "a_second_answer_changes_nothing",
            "nobody_else_can_answer",
            "yes_is_a_message_like_any_other",
        ),
    ),
    "permission-survives": Requirement(
        "field",
        "a request is asked again of a channel that was restarted",
        proved_by(KILL, "a_channel_is_killed_while_a_permission_is_pending"),
    ),
    "permission-lasting": Requirement(
        "Tool Calls",
        "`always` and `never` hold for the kind of tool, in that conversation",
        proved_by(PERMISSION, "a_lasting_choice_is_remembered_for_its_kind_of_tool"),
    ),
    # -- files and terminals ----------------------------------------------------------------------
    "files-not-served": Requirement(
        "File System, Terminals",
        "a method that is not advertised is answered -32601",
        proved_by(WORKSPACE, "what_is_not_advertised_is_not_served"),
    ),
    "files-read": Requirement(
        "File System",
        "lines are counted from 1 and limited",
        proved_by(WORKSPACE, "lines_of_a_file_are_read", "the_official_sdk_uses_files"),
    ),
    "files-write": Requirement(
        "File System",
        "a file that is not there is made; one that is there is replaced",
        proved_by(WORKSPACE, "a_file_is_made_and_written_anew", "the_official_sdk_uses_files"),
    ),
    "files-confined": Requirement(
        "File System",
        "no way leads out of the workspace",
        proved_by(WORKSPACE, "no_way_leads_out_of_the_workspace"),
    ),
    "terminals": Requirement(
        "Terminals",
        "a command runs, is waited for, is read, is killed; its id dies with its release",
        proved_by(
            WORKSPACE,
            "a_command_runs_in_the_workspace_to_its_end",
            "the_official_sdk_uses_terminals",
            "a_release_ends_what_runs",
        ),
    ),
    "terminals-cut": Requirement(
        "Terminals",
        "output is cut from the front, between two characters",
        proved_by(WORKSPACE, "output_is_cut_from_the_front_between_characters"),
    ),
    "terminals-are-the-agents": Requirement(
        "field",
        "what runs in a terminal is a process of the agent's unit, and ends with it",
        proved_by(WORKSPACE, "a_terminal_ends_with_its_agent"),
    ),
    # -- elicitation ------------------------------------------------------------------------------
    "elicitation-form": Requirement(
        "Elicitation",
        "a form is shown, and its answer passed on: accept, decline, cancel",
        proved_by(
            ELICITATION,
            "a_form_is_shown_and_its_answer_passed_on",
            "the_official_sdk_elicits",
        ),
    ),
    "elicitation-url": Requirement(
        "Elicitation",
        "a link is shown in full, and visited by nobody but the user",
        proved_by(ELICITATION, "a_link_is_shown_in_full"),
    ),
    # -- extensions -------------------------------------------------------------------------------
    "unknown-request": Requirement(
        "Extensibility",
        "unknown requests are answered -32601",
        proved_by(TURNS, "requests_that_are_unknown_are_refused"),
    ),
    "unknown-notification": Requirement(
        "Extensibility",
        "unknown notifications are ignored",
        proved_by(TURNS, "what_is_wrong_harms_nothing"),
    ),
    "cancel-tool-calls": Requirement(
        "Prompt Turn",
        "open tool calls of a cancelled turn are marked as ended",
        proved_by(ROUTE, "tool_calls_that_run_when_a_turn_is_cancelled_are_shown_to_end"),
    ),
    # -- not claimed ------------------------------------------------------------------------------
    "auth-terminal": Requirement(
        "Authentication", "methods of type `terminal`", deferral="not advertised: nobody sits there"
    ),
    "mcp-over-acp": Requirement(
        "MCP", "mcp/message", deferral="unstable; agents reach tools over HTTP or stdio"
    ),
    "providers": Requirement("Providers", "providers/*", deferral="unstable"),
    "session-archive": Requirement(
        "Sessions", "set_title, archive, unarchive, status", deferral="unstable"
    ),
    "version-2": Requirement("v2", "the whole of the draft", deferral="a draft"),
}
