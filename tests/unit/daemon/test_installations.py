"""What services offer, as units are given it: merged, kept, told of, and never shown."""

import pytest

from anyclawd.daemon.installations import Installations
from anyclawd.model.deps import UnitName
from anyclawd.model.unit import Protocol, Unit
from anyclawd.wire.service import NO_INSTALLATION, Installation
from tests.fakes.world import answering, make_unit

MEDIA, STORE = UnitName("media.service"), UnitName("store.service")
OFFERED = Installation(environment=(("KEY", "k3y"),), urls=(("media", "http://m"),))


def user(*services: UnitName, **settings: object) -> Unit:
    return make_unit("a.agent", services=services, **settings)


@pytest.fixture
def installations() -> Installations:
    found = Installations()
    found.take(MEDIA, OFFERED)
    return found


def test_a_unit_is_given_what_those_offer_whom_it_lists(installations: Installations) -> None:
    given = (("KEY", "k3y"), ("ANYCLAW_MEDIA_URL", "http://m"))
    assert installations.of(user(MEDIA)) == given
    assert installations.of(user(STORE, MEDIA)) == given
    assert installations.of(user(STORE)) == installations.of(user()) == ()


def test_of_two_services_the_one_that_is_listed_later_counts(installations: Installations) -> None:
    installations.take(STORE, Installation(environment=(("KEY", "other"),)))
    assert dict(installations.of(user(MEDIA, STORE)))["KEY"] == "other"
    assert dict(installations.of(user(STORE, MEDIA)))["KEY"] == "k3y"


def test_what_a_unit_declares_itself_is_its_own(installations: Installations) -> None:
    given = installations.of(user(MEDIA, environment={"KEY": "mine"}))
    assert given == (("ANYCLAW_MEDIA_URL", "http://m"),)


def test_an_installation_holds_until_there_is_another_one(installations: Installations) -> None:
    told: list[tuple[UnitName, Installation]] = []
    installations.changed.append(lambda service, former: told.append((service, former)))
    installations.take(MEDIA, OFFERED)
    assert told == []
    other = Installation(urls=(("media", "http://n"),))
    installations.take(MEDIA, other)
    assert told == [(MEDIA, OFFERED)]
    assert installations.urls("media") == ("http://n",)
    installations.forget(MEDIA)
    assert told == [(MEDIA, OFFERED), (MEDIA, other)]
    assert installations.urls("media") == ()
    installations.forget(MEDIA)
    installations.take(STORE, NO_INSTALLATION)
    assert len(told) == 2


def test_addresses_are_found_by_their_name(installations: Installations) -> None:
    installations.take(STORE, Installation(urls=(("store", "http://s"), ("media", "http://o"))))
    assert installations.urls("media") == ("http://m", "http://o")
    assert installations.urls("store") == ("http://s",)


def test_a_unit_shows_names_and_no_values(installations: Installations) -> None:
    service = answering(MEDIA)
    installations.take(MEDIA, Installation(urls=OFFERED.urls, volumes=("/a:/b",)))
    assert installations.view(user(MEDIA)) == {
        "installed": ["ANYCLAW_MEDIA_URL"],
        "installation": None,
    }
    assert installations.view(service) == {
        "installed": [],
        "installation": {"environment": [], "urls": ["media"], "volumes": 1},
    }
    assert installations.view(answering(STORE, protocol=Protocol.HOOK))["installation"] == {
        "environment": [],
        "urls": [],
        "volumes": 0,
    }
