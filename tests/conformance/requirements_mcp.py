"""What anyclawd claims of MCP, at both of its ends: a server to agents, a client of tools.

Id -> (source, behaviour, proofs, deferral), as in `requirements_acp.py`. A source is one revision
of the specification or both of its eras, and the page there: `2025-11-25` stands for all revisions
that begin with a handshake, `2026-07-28` for the one that does not; `field` is what servers and
clients have been seen to do. `test_mcp.py` fails for a clause without a proof that exists, for one
that is both proved and deferred, and for a test in `mcp/` that no clause names.
"""

from tests.conformance.requirements_units import Requirement, proved_by

HTTP = "conformance/mcp/test_http.py"
FEATURES = "conformance/mcp/test_features.py"
CLIENT = "conformance/mcp/test_as_client.py"
OFFICIAL = "conformance/mcp/test_official.py"
OTHERS = "conformance/mcp/test_third_party.py"
SHIM = "conformance/mcp/test_shim.py"
SDK = "conformance/mcp/test_our_sdk.py"
E2E = "e2e/test_tools.py"
#: What needs no peer of other makers, or another clock.
ERAS = "integration/gateway/test_tool_eras.py"
TOOLS = "integration/gateway/test_toolhost.py"
MERGED = "integration/gateway/test_tool_resources.py"
CALLS = "integration/gateway/test_tool_calls.py"
NEGOTIATION = "unit/wire/test_mcp_era.py"
LIMITS = "integration/mcp/test_http.py"

OLD, NEW = "2025-11-25", "2026-07-28"
BOTH = f"{OLD}, {NEW}"

AS_SERVER = {
    # -- Streamable HTTP ---------------------------------------------------------------------------
    "http-one-endpoint": Requirement(
        f"{BOTH}: Transports, Streamable HTTP",
        "one path takes all there is: POST, and of the handshake era GET and DELETE",
        proved_by(HTTP, "there_is_post_get_and_delete", "both_eras_are_at_one_place"),
    ),
    "http-origin": Requirement(
        f"{BOTH}: Transports, Security",
        "an Origin that is there and not of this machine is answered 403, whatever is asked",
        proved_by(HTTP, "a_foreign_origin_is_refused", "an_origin_of_this_machine_is_taken"),
    ),
    "http-host": Requirement(
        f"{BOTH}: Transports, Security; field",
        "a Host that is none of ours is refused, so that no name can be bent to lead here",
        proved_by(HTTP, "a_host_that_is_not_ours_is_refused"),
    ),
    "http-loopback": Requirement(
        f"{BOTH}: Transports, Security",
        "it is bound to the loopback, unless the configuration says otherwise",
        proved_by(HTTP, "it_listens_on_the_loopback_only"),
    ),
    "http-authentication": Requirement(
        f"{BOTH}: Transports, Security",
        "nobody is served without a token, and each sees what it was granted and nothing else",
        proved_by(HTTP, "nobody_comes_in_without_a_token", "a_token_holds_for_its_own_units_only"),
    ),
    "http-accept": Requirement(
        f"{BOTH}: Transports, Sending Messages",
        "a client names both kinds of answer that it has to take; one that takes only an object "
        "is given an object",
        proved_by(HTTP, "an_answer_has_to_be_acceptable")
        + proved_by(HTTP, "who_takes_no_stream_is_answered_with_an_object"),
    ),
    "http-content-type": Requirement(
        f"{BOTH}: Transports, Sending Messages",
        "a body is JSON, and says so",
        proved_by(HTTP, "a_body_is_json", "a_charset_changes_nothing"),
    ),
    "http-body-size": Requirement(
        f"{BOTH}: Transports, field",
        "a body has a bound, and what is beyond it is refused with 413; a client that sends or "
        "reads nothing is not waited for",
        proved_by(HTTP, "a_body_has_an_end")
        + proved_by(
            LIMITS,
            "a_body_that_does_not_say_its_size_is_read_to_the_limit",
            "a_body_that_does_not_come_is_not_waited_for",
            "a_stream_that_is_not_read_is_hung_up_on",
        ),
    ),
    "http-one-message": Requirement(
        f"{OLD}: Transports, Sending Messages",
        "a body is one message; only 2025-03-26 knows batches",
        proved_by(HTTP, "a_batch_belongs_to_the_revision_that_has_batches"),
    ),
    "http-accepted": Requirement(
        f"{BOTH}: Transports, Sending Messages",
        "a notification or a response that is taken is answered 202 without a body",
        proved_by(
            HTTP,
            "a_notification_is_accepted_and_not_answered",
            "a_response_is_accepted_and_not_answered",
        ),
    ),
    "http-answer": Requirement(
        f"{BOTH}: Transports, Sending Messages",
        "a request is answered by one JSON object, or by a stream that ends with its response",
        proved_by(
            HTTP,
            "an_answer_is_one_object_where_nothing_precedes_it",
            "a_stream_ends_with_its_response",
        ),
    ),
    "http-disconnect": Requirement(
        f"{OLD}: Transports, Sending Messages",
        "who hangs up has not cancelled anything",
        deferral="it has: streams are not resumed, so what a call would answer could reach nobody",
    ),
    "http-disconnect-cancels": Requirement(
        f"{NEW}: Transports, Cancellation",
        "the end of the stream is the cancellation of its request",
        proved_by(HTTP, "who_hangs_up_has_cancelled"),
    ),
    "http-listening": Requirement(
        f"{OLD}: Transports, Listening for Messages",
        "GET opens a stream for whoever takes one; no response is ever sent on it",
        proved_by(HTTP, "a_stream_is_for_whoever_takes_one", "a_message_goes_to_one_stream"),
    ),
    "http-one-stream": Requirement(
        f"{OLD}: Transports, Multiple Connections",
        "each message goes to one stream of a session",
        proved_by(HTTP, "a_message_goes_to_one_stream"),
    ),
    "http-session": Requirement(
        f"{OLD}: Transports, Session Management",
        "an id that cannot be guessed, of visible ASCII; it is its token's; after DELETE it is 404",
        proved_by(
            HTTP,
            "a_session_has_an_id_that_nobody_can_guess",
            "a_session_that_is_over_is_not_found",
            "a_session_belongs_to_its_token",
        ),
    ),
    "http-no-session": Requirement(
        f"{OLD}: Transports, field",
        "a client without a session or a header is served; it is taken for one of 2025-03-26",
        proved_by(HTTP, "a_client_without_a_session_is_served"),
    ),
    "http-revision": Requirement(
        f"{OLD}: Transports, Protocol Version Header",
        "a header with a revision that is not spoken is answered 400",
        proved_by(HTTP, "a_revision_that_is_not_spoken_is_a_bad_request"),
    ),
    "http-mirror": Requirement(
        f"{NEW}: Transports, Request Metadata",
        "headers that mirror the body are there and agree with it, else 400 and -32020; names of "
        "headers have no case, and a value may be encoded",
        proved_by(
            HTTP,
            "headers_and_body_agree",
            "names_of_headers_have_no_case_and_values_may_be_encoded",
        ),
    ),
    "http-unknown-method": Requirement(
        f"{NEW}: Transports, Protocol Version Header",
        "a method that the era does not have is answered 404 with -32601",
        proved_by(HTTP, "methods_that_the_era_does_not_have_are_not_found"),
    ),
    "http-stateless": Requirement(
        f"{NEW}: Transports, Earlier Revisions; Statelessness",
        "GET and DELETE are 405, an id of a session is ignored and none is issued",
        proved_by(HTTP, "the_modern_era_has_no_sessions"),
    ),
    "http-resumption": Requirement(
        f"{OLD}: Transports, Resumability",
        "streams that are taken up again by Last-Event-ID",
        deferral="optional, and gone in 2026-07-28: events carry no id, lists are asked for anew",
    ),
    "http-parameter-headers": Requirement(
        f"{NEW}: Transports, Custom Headers from Tool Parameters",
        "an argument that a client repeats in a header, since the schema of the tool says so, is "
        "there and agrees, else 400 and -32020; numbers agree as numbers",
        proved_by(
            HTTP,
            "arguments_that_are_repeated_agree",
            "arguments_that_are_repeated_otherwise_are_refused",
        )
        + proved_by(OFFICIAL, "an_argument_that_is_repeated_in_a_header"),
    ),
    "http-sse-2024": Requirement(
        "2024-11-05: HTTP with SSE",
        "the transport before Streamable HTTP",
        deferral="deprecated since 2025-03-26; no client that we know needs it",
    ),
    # -- JSON-RPC ----------------------------------------------------------------------------------
    "rpc-malformed": Requirement(
        f"{BOTH}: Messages; JSON-RPC",
        "what is no JSON is -32700, what is no message -32600, both with 400 and without an id",
        proved_by(
            HTTP,
            "what_is_no_json_is_a_parse_error",
            "what_is_no_message_is_an_invalid_request",
            "params_are_an_object",
        ),
    ),
    "rpc-id": Requirement(
        f"{BOTH}: Messages, Requests",
        "an id is a text or a whole number, never null; it comes back as it was",
        proved_by(HTTP, "an_id_comes_back_as_it_was", "what_is_no_message_is_an_invalid_request"),
    ),
    "rpc-id-reuse": Requirement(
        f"{BOTH}: Messages, Requests",
        "an id of a request that is under way is not taken for another one",
        proved_by(HTTP, "an_id_is_used_once_at_a_time"),
    ),
    "rpc-unknown-method": Requirement(
        f"{BOTH}: Messages; JSON-RPC",
        "a request that is unknown, or is the server's to make, is -32601",
        proved_by(HTTP, "an_unknown_method_is_said_to_be_unknown"),
    ),
    # -- versions ----------------------------------------------------------------------------------
    "lifecycle-version": Requirement(
        f"{OLD}: Lifecycle, Version Negotiation",
        "a revision that is spoken is echoed, all others are answered with the newest",
        proved_by(
            HTTP,
            "a_revision_that_is_known_is_spoken",
            "to_a_revision_that_is_not_the_newest_is_answered",
        ),
    ),
    "lifecycle-capabilities": Requirement(
        f"{BOTH}: Lifecycle, Capability Negotiation; Discovery",
        "a server says who it is and what it offers: what its units do",
        proved_by(HTTP, "a_revision_that_is_known_is_spoken", "both_eras_are_at_one_place")
        + proved_by(OFFICIAL, "a_client_finds_out_in_which_era_it_is"),
    ),
    "versioning-unsupported": Requirement(
        f"{NEW}: Versioning, Protocol Version Negotiation",
        "a revision that is not spoken is -32022 with 400, and is told which ones are",
        proved_by(HTTP, "an_unknown_revision_is_told_which_there_are"),
    ),
    "versioning-envelope": Requirement(
        f"{NEW}: General fields, _meta",
        "a request without its revision or its capabilities is malformed, -32602 with 400",
        proved_by(HTTP, "a_request_says_what_it_needs_to_be_understood"),
    ),
    "versioning-discover": Requirement(
        f"{NEW}: Discovery",
        "server/discover tells the revisions, the capabilities and who this is",
        proved_by(HTTP, "both_eras_are_at_one_place")
        + proved_by(OFFICIAL, "a_client_finds_out_in_which_era_it_is"),
    ),
    "versioning-eras": Requirement(
        f"{NEW}: Versioning, Backward Compatibility",
        "clients of either era are served at one place, and by units of either era",
        proved_by(HTTP, "both_eras_are_at_one_place")
        + proved_by(FEATURES, "eras_meet")
        + proved_by(OFFICIAL, "a_call_is_in_the_era_of_its_unit")
        + proved_by(SHIM, "it_serves_the_modern_era_as_well"),
    ),
    "result-type": Requirement(
        f"{NEW}: Messages, ResultType",
        "every result says of which kind it is",
        proved_by(HTTP, "a_call_of_the_modern_era_is_complete"),
    ),
    "server-asks-nothing": Requirement(
        f"{NEW}: Message Patterns",
        "a server asks its clients nothing: no sampling, no elicitation, no input that is required",
        proved_by(CLIENT, "a_kind_of_result_that_is_unknown_is_no_result")
        + proved_by(OTHERS, "what_it_would_ask_us_it_does_not_offer"),
    ),
    # -- tools -------------------------------------------------------------------------------------
    "tools-list": Requirement(
        f"{BOTH}: Tools, Listing Tools",
        "a tool is shown as its unit has it, byte by byte: schemas, annotations, what we never "
        "heard of",
        proved_by(
            FEATURES,
            "schemas_reach_the_client_byte_by_byte",
            "schemas_are_the_same_bytes_in_the_modern_era",
        )
        + proved_by(OFFICIAL, "tools_are_what_the_unit_offers")
        + proved_by(
            OTHERS,
            "its_tools_are_its_own",
            "everything_is_its_own",
            "its_schemas_are_the_same_bytes",
        ),
    ),
    "tools-order": Requirement(
        f"{NEW}: Tools, Capabilities",
        "a list that has not changed has the same order every time",
        proved_by(FEATURES, "lists_have_the_same_order_every_time"),
    ),
    "tools-names": Requirement(
        f"{BOTH}: Tools, Tool Names",
        "names of several units that meet are told apart by the units, and lead to them",
        proved_by(FEATURES, "names_that_meet_are_told_apart", "a_name_leads_to_its_unit"),
    ),
    "tools-unknown": Requirement(
        f"{BOTH}: Tools, Error Handling",
        "a name that is nobody's is -32602",
        proved_by(FEATURES, "a_name_that_is_nobodys_is_unknown")
        + proved_by(OFFICIAL, "a_tool_that_does_not_exist"),
    ),
    "tools-call": Requirement(
        f"{BOTH}: Tools, Calling Tools",
        "arguments reach the tool as they are, and its result the client: every kind of content, "
        "structure, members that nobody knows",
        proved_by(FEATURES, "a_result_reaches_the_client_as_it_was", "arguments_may_be_missing")
        + proved_by(OFFICIAL, "structure_and_annotations_pass", "any_text_passes")
        + proved_by(OTHERS, "every_kind_of_content_comes_through", "the_time_is_told"),
    ),
    "tools-errors": Requirement(
        f"{BOTH}: Tools, Error Handling",
        "what a tool fails with is a result that the model can read; an error of the protocol is "
        "an error",
        proved_by(
            FEATURES, "an_error_of_a_tool_is_a_result", "an_error_of_the_protocol_is_an_error"
        )
        + proved_by(OFFICIAL, "an_error_of_a_tool_is_a_result")
        + proved_by(OTHERS, "the_time_somewhere_else"),
    ),
    "tools-changed": Requirement(
        f"{BOTH}: Tools, List Changed Notification",
        "who listens is told that the list of tools is another now",
        proved_by(CLIENT, "a_list_that_changes_is_asked_for_again")
        + proved_by(OFFICIAL, "a_change_is_told_and_seen"),
    ),
    "tools-access": Requirement(
        f"{BOTH}: Tools, Security Considerations",
        "what a client may not use is neither listed nor called",
        proved_by(E2E, "what_is_denied_is_neither_listed_nor_called"),
    ),
    # -- resources ---------------------------------------------------------------------------------
    "resources-list": Requirement(
        f"{BOTH}: Resources, Listing Resources; Resource Templates",
        "resources and templates are listed as their units have them",
        proved_by(FEATURES, "resources_are_listed_and_read", "templates_lead_to_their_unit")
        + proved_by(OFFICIAL, "resources_are_what_the_unit_offers"),
    ),
    "resources-read": Requirement(
        f"{BOTH}: Resources, Reading Resources",
        "one is read where it is listed, or where a template fits it; text and bytes",
        proved_by(FEATURES, "resources_are_listed_and_read", "templates_lead_to_their_unit")
        + proved_by(OFFICIAL, "resources_are_read")
        + proved_by(OTHERS, "its_resources_are_read_and_watched"),
    ),
    "resources-unknown": Requirement(
        f"{BOTH}: Resources, Error Handling",
        "one that does not exist is -32002 in the handshake era, and -32602 in the modern one",
        proved_by(FEATURES, "a_resource_that_does_not_exist")
        + proved_by(OFFICIAL, "a_resource_that_does_not_exist"),
    ),
    "resources-watch": Requirement(
        f"{NEW}: Resources, Subscriptions; Subscriptions",
        "a resource is watched for as long as the stream lasts that names it",
        proved_by(FEATURES, "a_resource_is_watched_for_as_long_as_its_stream_lasts"),
    ),
    "resources-subscribe": Requirement(
        f"{OLD}: Resources, Subscriptions",
        "who has subscribed to a resource is told of it, and of no other, until it has enough",
        proved_by(FEATURES, "a_subscriber_is_told_of_its_resource"),
    ),
    # -- prompts and completion --------------------------------------------------------------------
    "prompts-list": Requirement(
        f"{BOTH}: Prompts, Listing Prompts",
        "prompts are listed as their units have them",
        proved_by(FEATURES, "prompts_are_listed_and_got")
        + proved_by(OTHERS, "its_prompts_are_got_and_completed"),
    ),
    "prompts-get": Requirement(
        f"{BOTH}: Prompts, Getting a Prompt",
        "one is got with its arguments; an unknown one, or what it lacks, is -32602",
        proved_by(
            FEATURES,
            "prompts_are_listed_and_got",
            "a_prompt_that_does_not_exist",
            "what_a_prompt_lacks_is_said_by_its_unit",
        )
        + proved_by(OFFICIAL, "a_prompt_is_got"),
    ),
    "completion": Requirement(
        f"{BOTH}: Completion",
        "arguments of prompts and of templates are completed by the unit that has them; a "
        "reference to nothing is -32602",
        proved_by(FEATURES, "an_argument_is_completed", "a_reference_that_is_none_is_invalid")
        + proved_by(OFFICIAL, "arguments_are_completed")
        + proved_by(OTHERS, "its_prompts_are_got_and_completed"),
    ),
    # -- utilities ---------------------------------------------------------------------------------
    "ping": Requirement(
        f"{OLD}: Ping",
        "a ping is answered with nothing, at once",
        proved_by(HTTP, "a_charset_changes_nothing", "an_id_comes_back_as_it_was")
        + proved_by(SDK, "a_ping_is_answered")
        + proved_by(SHIM, "the_official_client_takes_it_for_a_server"),
    ),
    "logging": Requirement(
        f"{OLD}: Logging",
        "a level is passed on to the units; what they log says which of them it was; a level "
        "that is none is -32602",
        proved_by(FEATURES, "a_client_is_told_what_a_unit_logs", "a_level_that_is_none_is_invalid"),
    ),
    "logging-opt-in": Requirement(
        f"{NEW}: Logging, Per-request log level",
        "who has not asked for log messages is sent none",
        proved_by(FEATURES, "nobody_of_the_modern_era_is_sent_messages_that_it_has_not_asked_for"),
    ),
    "pagination-cursor": Requirement(
        f"{BOTH}: Pagination",
        "a cursor that was never given is -32602",
        proved_by(FEATURES, "a_cursor_that_nobody_gave_is_invalid"),
    ),
    "progress": Requirement(
        f"{BOTH}: Progress",
        "who gives a token is told of progress under that token, in order, until the answer; "
        "nobody else is",
        proved_by(
            FEATURES,
            "progress_has_the_token_of_the_client",
            "progress_that_nobody_asked_for_is_dropped",
        )
        + proved_by(OFFICIAL, "progress_is_relayed_in_order")
        + proved_by(OTHERS, "a_long_operation_tells_of_its_progress")
        + proved_by(SHIM, "progress_and_cancellation_go_through_it"),
    ),
    "cancellation": Requirement(
        f"{OLD}: Cancellation",
        "a request that its client cancels is cancelled in the unit; a late answer goes nowhere",
        proved_by(FEATURES, "a_client_cancels", "a_client_cancels_its_own_requests_only")
        + proved_by(OFFICIAL, "a_cancelled_call_is_cancelled_in_the_unit"),
    ),
    "cancellation-of-nothing": Requirement(
        f"{BOTH}: Cancellation, Error Handling",
        "a cancellation of what is unknown or over means nothing",
        proved_by(
            FEATURES, "a_cancellation_of_nothing_means_nothing", "a_cancellation_comes_too_late"
        ),
    ),
    "subscriptions": Requirement(
        f"{NEW}: Subscriptions",
        "a stream of changes is acknowledged first, tells what was asked for and nothing else, "
        "and marks each message with its id",
        proved_by(HTTP, "a_subscription_tells_what_was_asked_for_and_nothing_else")
        + proved_by(OFFICIAL, "a_change_is_told_and_seen"),
    ),
    "subscriptions-end": Requirement(
        f"{NEW}: Subscriptions, Graceful Closure",
        "a stream that we end is ended by the result of the request that has opened it",
        proved_by("integration/mcp/test_close.py", "the_end_is_told_to_everybody"),
    ),
    "caching": Requirement(
        f"{NEW}: Caching",
        "lists say for how long they hold, and that they are one client's",
        proved_by(HTTP, "what_is_listed_may_be_kept_by_one_client_for_a_time"),
    ),
    "meta": Requirement(
        f"{BOTH}: General fields, _meta; Trace Context",
        "what a client says in `_meta` is passed on, but for what is meant for us, or looks as if "
        "it came from us",
        proved_by(
            FEATURES,
            "what_is_in_meta_is_passed_on",
            "nobody_passes_for_the_one_who_knows_who_calls",
        ),
    ),
    "tasks": Requirement(
        f"{OLD}: Tasks",
        "calls that outlive their request",
        deferral="experimental; an extension now",
    ),
    "authorization": Requirement(
        f"{BOTH}: Authorization", "OAuth", deferral="optional: clients are ours and have a token"
    ),
    # -- over stdio --------------------------------------------------------------------------------
    "stdio-shim": Requirement(
        f"{BOTH}: Transports, stdio",
        "an agent that knows stdio alone has the same server there, until the end of its input",
        proved_by(
            SHIM,
            "the_official_client_takes_it_for_a_server",
            "progress_and_cancellation_go_through_it",
            "a_change_goes_through_it",
            "it_serves_the_modern_era_as_well",
            "it_ends_with_its_input_and_tells_nobody_its_token",
        ),
    ),
}

AS_CLIENT = {
    # -- the beginning -----------------------------------------------------------------------------
    "client-initialize": Requirement(
        f"{OLD}: Lifecycle, Initialization",
        "initialize precedes all else, with the newest revision and who we are; initialized "
        "follows, and only then requests",
        proved_by(CLIENT, "initialize_precedes_all_else", "the_handshake_era_has_no_envelope"),
    ),
    "client-version": Requirement(
        f"{OLD}: Lifecycle, Version Negotiation",
        "an older revision is spoken; one that cannot be spoken ends the connection",
        proved_by(
            CLIENT,
            "an_older_revision_is_spoken",
            "a_revision_that_cannot_be_spoken_ends_the_connection",
        ),
    ),
    "client-capabilities": Requirement(
        f"{BOTH}: Lifecycle, Capability Negotiation; Roots, Sampling, Elicitation",
        "what is not served is not advertised, and refused with -32601 where it is asked for",
        proved_by(
            CLIENT,
            "what_is_not_served_is_not_advertised",
            "what_is_not_served_is_said_to_be_unknown",
        ),
    ),
    "client-envelope": Requirement(
        f"{NEW}: General fields, _meta",
        "each request says its revision, our capabilities and who we are",
        proved_by(
            CLIENT,
            "each_request_of_the_modern_era_says_what_it_needs",
            "the_modern_era_begins_with_a_question",
        ),
    ),
    "client-era": Requirement(
        f"{NEW}: Transports, stdio, Backward Compatibility; field",
        "a server of unknown era is asked once, and is spoken to in the era that has answered, "
        "whatever else it answers with: one that has taken the question for the beginning "
        "refuses every handshake with -32022",
        proved_by(
            OFFICIAL, "a_unit_of_either_era_is_ready", "a_unit_that_ends_in_a_call_comes_back"
        )
        + proved_by(OTHERS, "one_that_does_not_know_the_question_is_spoken_to_as_before")
        + proved_by(
            ERAS,
            "a_tool_that_answers_the_question_stays_modern",
            "a_tool_that_refuses_the_question_shakes_hands",
            "a_tool_that_is_silent_shakes_hands",
            "a_slow_tool_that_has_taken_up_the_question_is_not_mistaken",
        ),
    ),
    "client-unsupported": Requirement(
        f"{NEW}: Versioning, Protocol Version Negotiation",
        "a server with which no revision is common is given up, and that is said",
        proved_by(NEGOTIATION, "a_server_that_cannot_be_spoken_to_is_refused_with_a_text"),
    ),
    # -- the transport -----------------------------------------------------------------------------
    "client-frame": Requirement(
        f"{BOTH}: Transports, stdio",
        "a frame is one line of UTF-8, whatever is in it",
        proved_by(CLIENT, "every_frame_is_one_line"),
    ),
    "client-noise": Requirement(
        f"{BOTH}: Transports, stdio; field",
        "what is no frame, or means nothing, is borne",
        proved_by(CLIENT, "oddities_are_borne"),
    ),
    "client-shutdown": Requirement(
        f"{BOTH}: Transports, stdio, Shutdown",
        "a server is stopped by the end of its input before any signal",
        proved_by(CLIENT, "a_unit_is_stopped_by_the_end_of_its_input"),
    ),
    "client-restart": Requirement(
        f"{NEW}: Transports, stdio, Unexpected Termination",
        "a server that ends is started again; what it was asked is answered with an error",
        proved_by(CLIENT, "a_unit_that_ends_is_started_again")
        + proved_by(OFFICIAL, "a_unit_that_ends_in_a_call_comes_back"),
    ),
    "client-subscriptions": Requirement(
        f"{NEW}: Subscriptions, Graceful Closure; Transports, stdio, Unexpected Termination",
        "the successor of a server that has ended is asked again for what is listened to",
        proved_by(CLIENT, "what_was_listened_to_is_listened_to_again")
        + proved_by(MERGED, "what_was_wanted_of_a_tool_is_wanted_of_the_one_after_it"),
    ),
    # -- requests ----------------------------------------------------------------------------------
    "client-cancels": Requirement(
        f"{BOTH}: Cancellation; Transports, stdio, Cancellation",
        "a call that nobody waits for any more is cancelled by a notification that names it; what "
        "is answered later goes nowhere",
        proved_by(CLIENT, "a_call_that_nobody_waits_for_is_cancelled")
        + proved_by(CALLS, "a_cancelled_call_is_told_to_the_tool_and_answered_by_nobody"),
    ),
    "client-caching": Requirement(
        f"{NEW}: Caching",
        "a list that holds no longer is asked for before it is shown",
        proved_by(ERAS, "a_list_that_holds_no_longer_is_read_before_it_is_shown"),
    ),
    "client-bounds": Requirement(
        f"{BOTH}: Progress, Implementation Notes; field",
        "a list without an end, and a storm of changes, have bounds of ours",
        proved_by(TOOLS, "a_storm_of_changes_makes_one_reading_after_the_one_that_goes_on")
        + proved_by(
            "integration/gateway/test_tool_processes.py", "a_list_without_an_end_is_cut_off"
        ),
    ),
    "client-ids": Requirement(
        f"{BOTH}: Messages, Requests",
        "no id is used twice, whatever ids the clients behind us choose; answers come in any order",
        proved_by(CLIENT, "no_id_is_used_twice", "answers_come_in_any_order"),
    ),
    "client-bad-answers": Requirement(
        f"{BOTH}: Messages, Responses; field",
        "an answer that is none is told as such, once, and harms nothing",
        proved_by(CLIENT, "an_answer_that_is_none_is_told_as_such"),
    ),
    "client-result-type": Requirement(
        f"{NEW}: Messages, ResultType",
        "a kind of result that is unknown is invalid; without a kind it is complete",
        proved_by(
            CLIENT,
            "a_kind_of_result_that_is_unknown_is_no_result",
            "a_result_without_a_kind_is_complete",
        ),
    ),
    "client-pages": Requirement(
        f"{BOTH}: Pagination",
        "cursors are opaque, and a list ends where there is none",
        proved_by(FEATURES, "all_pages_of_a_unit_are_listed"),
    ),
    "client-changed": Requirement(
        f"{BOTH}: Tools, List Changed Notification",
        "a list that has changed is asked for again; what is no tool in it is left out",
        proved_by(CLIENT, "a_list_that_changes_is_asked_for_again"),
    ),
    "client-ping": Requirement(
        f"{OLD}: Ping",
        "a ping of a server is answered with nothing",
        proved_by(CLIENT, "a_ping_is_answered"),
    ),
    "client-annotations": Requirement(
        f"{BOTH}: Tools, Tool",
        "nothing that a server says of its own tools makes it be called more often, or trusted",
        proved_by(CLIENT, "annotations_are_not_believed"),
    ),
    "client-timeout": Requirement(
        f"{BOTH}: Lifecycle, Timeouts; Cancellation, Timeouts",
        "a request has a ceiling, which no progress extends; at it, it is cancelled and answered",
        proved_by(E2E, "a_call_has_a_ceiling_whatever_progress_it_tells_of"),
    ),
}

OUR_SDK = {
    "sdk-server": Requirement(
        f"{BOTH}: all that a server of tools has to do",
        "a program on our SDK is a server to the official client in both eras",
        proved_by(
            SDK,
            "it_is_known_by_its_name",
            "tools_are_listed_with_their_schemas",
            "structure_is_told_as_text_too",
            "an_error_of_a_tool_is_a_result",
            "a_tool_that_does_not_exist",
            "progress_is_told_to_whoever_asks",
            "a_call_is_cancelled_and_others_are_not",
            "a_change_of_the_list_is_told",
        ),
    ),
    "sdk-arguments": Requirement(
        f"{BOTH}: Tools, Security Considerations",
        "arguments are held against the schema, and what is wrong is explained",
        proved_by(SDK, "arguments_that_do_not_fit_are_explained"),
    ),
    "sdk-trust": Requirement(
        "docs/reference/tool-protocol.md",
        "a client that is not the daemon, or does not trust it, makes no unit a trusted one",
        proved_by(SDK, "nobody_who_is_not_trusted_is_told_who_calls"),
    ),
}

MCP = {**AS_SERVER, **AS_CLIENT, **OUR_SDK}
