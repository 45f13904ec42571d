"""What a compilation reads, and the list of it by which a cached plan is judged."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from anyclawd.compile.diagnose import Report
from anyclawd.compile.origin import Origin, Shown, Source, Taken, unknown
from anyclawd.compile.tree import Node, World, parse
from anyclawd.model import credential
from anyclawd.model.fingerprint import fingerprint, fingerprint_of_names, fingerprint_of_secret
from anyclawd.model.span import Span

#: Kind, name, content; see docs/explanation/compiler.md.
Input: TypeAlias = tuple[str, str, bytes] | tuple[str, str, bool]


@dataclass(slots=True)
class Sources:
    """Reads files, variables and credentials, and remembers which, so that a plan can be judged.

    A variable or credential counts as `shown` once its value has gone into the plan. Of the other
    variables the plan depends on no more than whether they are set.
    """

    world: World
    report: Report
    environ: Mapping[str, str]
    has_credentials: bool = True  #: whether who asks is given them; else they may stay unknown
    shown: Shown = field(default_factory=Shown)
    _variables: set[str] = field(default_factory=set)
    _credentials: dict[str, bytes | None] = field(default_factory=dict)
    _taken: dict[tuple[Source, str], Taken] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)  #: credentials that were warned of
    _files: dict[str, bytes] = field(default_factory=dict)
    _listings: dict[str, bytes] = field(default_factory=dict)

    def document(self, path: str) -> Node | None:
        """The tree of a YAML file; what is wrong with it goes to the report."""
        try:
            content = self.world.read(path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if isinstance(error, PermissionError):
                reason += "; let the daemon's user read it: chgrp to its group, chmod g+r"
            self.report.error(Span(path), "", f"cannot read the file: {reason}")
            return None
        self._files[path] = fingerprint(content)
        return parse(content, path, self.report, self.look_up)

    def names_in(self, directory: str, suffix: str) -> tuple[str, ...]:
        """The sorted names in a directory that end in `suffix`.

        There are none where it does not exist or cannot be listed; what else lies in it, and comes
        and goes there, is no input.
        """
        try:
            listed = self.world.names_in(directory)
        except (FileNotFoundError, NotADirectoryError):
            listed = ()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self.report.error(Span(directory), "", f"cannot list the directory: {reason}")
            return ()
        names = tuple(name for name in listed if name.endswith(suffix))
        self._listings[f"{directory}/*{suffix}"] = fingerprint_of_names(names)
        return names

    def which(self, program: str) -> str | None:
        self._variables.add("PATH")
        self.shown.variables.add("PATH")
        return self.world.which(program)

    def look_up(
        self, source: Source, name: str, default: str | None, where: Span, key: str
    ) -> Origin:
        """See `Lookup`."""
        origin = self._looked_up(source, name, default, where, key)
        if (source, name) not in self._taken:
            is_given = self._is_given(source, name)
            taken = Taken(source, name, where, key, default is None, is_given)
            self._taken[source, name] = taken
        return origin

    @property
    def taken(self) -> tuple[Taken, ...]:
        """Every variable and credential that was looked up for a value, in the order of reading."""
        return tuple(self._taken.values())

    def _is_given(self, source: Source, name: str) -> bool:
        if source is Source.VARIABLE:
            return name in self.environ
        return self._credentials.get(name) is not None

    def _looked_up(
        self, source: Source, name: str, default: str | None, where: Span, key: str
    ) -> Origin:
        if source is Source.CREDENTIAL:
            return self._credential(name, default, where, key)
        self._variables.add(name)
        text = self.environ.get(name, default)
        if text is not None:
            return Origin(source, name, default, text)
        reason = f'the variable {name} is not set; set it, or write !env "{name}:default"'
        self.report.error(where, key, reason)
        return unknown(source, name)

    def _text_of(self, name: str) -> str | None:
        """The text of a credential, None where it is not given. Raises ValueError, which says why.

        It is read once, so that all of a plan is of the same.
        """
        if name not in self._credentials:
            self._credentials[name] = self._content_of(name)
        content = self._credentials[name]
        return None if content is None else credential.text_of(content)

    def _content_of(self, name: str) -> bytes | None:
        path = credential.path_of(name, self.environ)
        try:
            return self.world.read(path) if path else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError((error.strerror or str(error)).lower()) from error

    def _credential(self, name: str, default: str | None, where: Span, key: str) -> Origin:
        try:
            found = self._text_of(name)
        except ValueError as error:
            self.report.error(where, key, f"cannot use the credential {name}: {error}")
            return unknown(Source.CREDENTIAL, name, default)
        text = default if found is None else found
        if text is not None:
            return Origin(Source.CREDENTIAL, name, default, text)
        if self.has_credentials or self.environ.get(credential.VARIABLE):
            self.report.error(where, key, credential.not_given(name, self.environ))
        elif name not in self._unknown:
            self._unknown.add(name)
            self.report.warning(where, key, credential.not_known(name))
        return unknown(Source.CREDENTIAL, name)

    def inputs(self) -> tuple[Input, ...]:
        """All that was read, as the cache of plans compares it: kind, name, content."""
        files = [("file", path, content) for path, content in sorted(self._files.items())]
        listings = [("glob", path, names) for path, names in sorted(self._listings.items())]
        variables = map(self._variable_input, sorted(self._variables))
        credentials = map(self._credential_input, sorted(self._credentials))
        return (*files, *listings, *variables, *credentials)

    def _variable_input(self, name: str) -> Input:
        if name not in self.shown.variables:
            return ("set", name, name in self.environ)
        value = self.environ.get(name)
        return ("env", name, b"" if value is None else fingerprint(os.fsencode(value)))

    def _credential_input(self, name: str) -> Input:
        content = self._credentials[name]
        if name in self.shown.credentials:
            return ("shown-credential", name, b"" if content is None else fingerprint(content))
        return ("credential", name, b"" if content is None else fingerprint_of_secret(content))
