"""What e2e tests share: a stage for puppets."""

from tests.fakes.puppet import theatre as theatre
