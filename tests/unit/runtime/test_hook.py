"""What hooks are told of the process they stand beside."""

import pytest

from anyclawd.engine.events import Exit
from anyclawd.model.state import Result
from anyclawd.runtime import hook

ENDS = {  # behaviour: (result, how the main process ended, variables)
    "success": (Result.SUCCESS, Exit(code=0), {"EXIT_CODE": "exited", "EXIT_STATUS": "0"}),
    "code": (Result.EXIT_CODE, Exit(code=75), {"EXIT_CODE": "exited", "EXIT_STATUS": "75"}),
    "killed": (Result.SIGNAL, Exit(signal=9), {"EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}),
    "dumped": (
        Result.CORE_DUMP,
        Exit(signal=11, has_core=True),
        {"EXIT_CODE": "dumped", "EXIT_STATUS": "SEGV"},
    ),
    "real-time": (Result.SIGNAL, Exit(signal=40), {"EXIT_CODE": "killed", "EXIT_STATUS": "40"}),
    "watchdog": (Result.WATCHDOG, Exit(signal=6), {"EXIT_CODE": "killed", "EXIT_STATUS": "ABRT"}),
    "no-main-process": (Result.RESOURCES, None, {}),
}


@pytest.mark.parametrize(("result", "end", "variables"), ENDS.values(), ids=ENDS)
def test_the_end_is_told_in_the_words_of_systemd(
    result: Result, end: Exit | None, variables: dict[str, str]
) -> None:
    """systemd.exec(5), $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS."""
    assert dict(hook.about_end(result, end)) == {"SERVICE_RESULT": result.value, **variables}


def test_the_main_process_is_told_while_there_is_one() -> None:
    assert hook.about_main(7) == (("MAINPID", "7"),)
    assert hook.about_main(None) == ()
