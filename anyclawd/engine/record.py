"""What the engine remembers of the past: each unit's story, and the times of the boot."""

from dataclasses import dataclass

from anyclawd.model.state import JobResult, Sub

#: Transitions of one unit that are kept; enough for every crash within a start limit's window.
STORY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happened to a unit, and what became of it."""

    at: float  #: monotonic instant
    event: str
    before: Sub
    after: Sub


#: Oldest first. A list, since most units have few scenes and a deque begins with 600 bytes.
Story = list[Scene]


def tell(story: Story, scene: Scene) -> None:
    """Add a scene; the oldest one makes room for it."""
    if len(story) == STORY_LENGTH:
        del story[0]
    story.append(scene)


@dataclass(slots=True)
class BootTimes:
    """When the boot reached each step with one unit; monotonic instants, None where it did not."""

    queued_at: float
    unblocked_at: float | None = None  #: everything it waited for had settled
    spawned_at: float | None = None
    ready_at: float | None = None
    settled_at: float | None = None  #: its start job ended
    result: JobResult | None = None
