"""One simulated account: syncs with faults, kills and changes; then quiet syncs and a comparison, row by row."""

from __future__ import annotations

import copy
import gc
import hashlib
import logging
import random as global_random
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from unittest import mock

import orjson
from airbyte_cdk.models import (
    AirbyteTraceMessage,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)

from integration_tests.soak.simulation.account import Account
from integration_tests.soak.simulation.declarations import (
    SETTINGS,
    cursors,
    declarations,
    discovered,
    singer_entries,
)
from integration_tests.soak.simulation.destinations import AirbyteDestination, Key, ProtocolError, SingerTarget
from integration_tests.soak.simulation.draw import (
    AIRBYTE,
    SINGER,
    draw_habits,
    draw_knobs,
    draw_plan,
    draw_size,
    needed_streams,
)
from integration_tests.soak.simulation.expectation import Expectation
from integration_tests.soak.simulation.scheduler import (
    START,
    DeadlockError,
    SimulatedLoop,
    SimulatedWorkers,
    VirtualClock,
)
from integration_tests.soak.simulation.server import Faults, Server, SimulatedClient
from source_incident import clock as engine_clock
from source_incident import connection, connector
from source_incident.batches import CompleteVersion, Message, RecordBatch, StateUpdate
from source_incident.connector import Connector
from source_incident.messages import ReadFailed
from source_incident.protocol import to_json
from source_incident.singer.messages import SingerMessages
from source_incident.singer.selection import read_catalog
from source_incident.singer.state import SavedState, read_state
from source_incident.streams import STREAMS
from source_incident.sync import Interrupted, Sync, reader
from source_incident.sync.state_format import StateParser

LOGGER = logging.getLogger("airbyte")
HOUR, DAY = 3600.0, 86400.0
# Quiet syncs in a row, at most, until nothing changes any more.
MAX_QUIET_SYNCS = 12


class Violation(Exception):
    """The connector broke a promise."""


@dataclass
class Outcome:
    """What became of one account.

    Attributes:
        violation: the promise that was broken; None: none.
        digest: of every request, change and line of output.
        trace: the same in plain text.
    """

    seed: str
    violation: str | None
    digest: str
    counts: Counter[str]
    trace: list[str]


def simulate(seed: str) -> Outcome:
    """Simulate one account."""
    simulation = Simulation(seed)
    violation = None
    gc.disable()
    try:
        with ExitStack() as stack:
            simulation.install(stack)
            simulation.run()
    except Violation as error:
        violation = str(error)
    except (DeadlockError, ProtocolError) as error:
        violation = f"{type(error).__name__}: {error}"
    finally:
        gc.enable()
    digest = hashlib.sha256("\n".join(simulation.trace).encode()).hexdigest()
    return Outcome(seed, violation, digest, simulation.counts, simulation.trace)


class Simulation:
    """One account and its syncs."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        self.trace: list[str] = []
        self.counts: Counter[str] = Counter()
        self._modes: tuple[str, ...] = ()
        self._clock = VirtualClock()
        self._clock.skew = timedelta(seconds=self._random.choice((0, 0, -40, 25)))
        self.plan = plan = draw_plan(self._random)
        names = needed_streams(plan)
        self._knobs = draw_knobs(self._random)
        habits = draw_habits(self._random, plan, names)
        sizes = {name: draw_size(self._random, name) for name in names}
        self.account = Account(self._random, self._clock, names, habits, sizes, plan.nested)
        tolerance = self._knobs[(reader, "TOTAL_TOLERANCE")]
        self._server = Server(self._random, self._clock, self.account, tolerance, self.trace.append)
        self._destination: SingerTarget | AirbyteDestination
        if plan.protocol == SINGER:
            self._destination = SingerTarget(self._check_removed)
        else:
            keys = {name: declarations()[name].key for name in plan.selected}
            plain = {name for name in plan.selected if not declarations()[name].is_incremental}
            self._destination = AirbyteDestination(keys, plan.full_refresh | plain)
        self.trace.append(f"{seed} {plan.describe()} {habits} {sizes}")

    def install(self, stack: ExitStack) -> None:
        """Put the virtual clock, the account's streams and the knobs into the engine."""
        # These are of all streams, and cached.
        singer_entries(), cursors()
        global_random.seed(0)
        classes = [declarations()[name].stream for name in self.account.names]
        patches: list[tuple[Any, str, Any]] = [
            (engine_clock, "now", self._clock.local_time),
            (connection, "STREAMS", tuple(stream for stream in STREAMS if stream in classes)),
            # No request leaves the process, and loading certificates takes longer than a sync.
            (connector, "check_environment", lambda _: None),
            *((module, name, value) for (module, name), value in self._knobs.items()),
        ]
        for module, name, value in patches:
            stack.enter_context(mock.patch.object(module, name, value))

    # The life of the account

    def run(self) -> None:
        """Live through all syncs.

        Raises:
            Violation: the connector broke a promise.
        """
        random, plan = self._random, self.plan
        for _ in range(plan.syncs):
            for _ in range(random.randint(0, 8)):
                self._clock.advance(random.expovariate(1 / 200))
                self.trace.append(self.account.change())
            self._clock.advance(random.choice((60, 600, 0.2 * HOUR, 2 * HOUR, DAY, 3 * DAY)) * random.random())
            selected = [name for name in plan.selected if random.random() < 0.9] or plan.selected
            modes = tuple(mode for mode in plan.modes if random.random() < 0.85) or plan.modes
            faults = self._draw_faults()
            # What a failing parent leaves behind has to outlast a kill of the same sync.
            may_be_killed = bool(faults.failing_parents) or random.random() < 0.6
            self._sync(selected, modes, faults, may_be_killed)
        self._sync_until_quiet()
        self._compare(with_unnoticed=False, with_removed=False)
        if not plan.full_read_days:
            return
        for round_ in range(2):
            self._clock.advance((plan.full_read_days + 1) * DAY)
            for _ in range(self._random.randint(1, 2)):
                # A full read that is killed goes on in the next sync.
                self._sync(plan.selected, plan.modes, Faults(), may_be_killed=True)
                self._clock.advance(self._random.uniform(60, 1800))
            self._sync_until_quiet()
            self._compare(with_unnoticed=True, with_removed=round_ == 1)

    def _sync_until_quiet(self) -> None:
        """Sync without faults until nothing changes any more."""
        settled_at = max(
            (row.visible_at for rows in self.account.rows.values() for row in rows.values()), default=START
        )
        before: Any = None
        expectation = Expectation(self.account, self.plan)
        for number in range(MAX_QUIET_SYNCS):
            self._clock.advance(self._random.uniform(600, 1800) * 2 ** min(number, 4))
            error = self._sync(self.plan.selected, self.plan.modes, Faults(), may_be_killed=False)
            rows = {
                name: {key: expectation.normalized(name, row) for key, row in self._destination.rows(name).items()}
                for name in self.plan.selected
            }
            if not error and rows == before and self._clock.server_time > settled_at:
                return
            before = None if error else rows
        raise Violation(f"{MAX_QUIET_SYNCS} syncs without a fault do not settle: {error or 'rows still change'}")

    def _draw_faults(self) -> Faults:
        random, plan = self._random, self.plan
        faults = Faults(kinds=plan.fault_kinds, change_rate=plan.change_rate)
        if random.random() < (0.1 if len(plan.fault_kinds) == 1 else 0.4):
            return faults
        faults.rate, faults.tries = plan.fault_rate, random.randint(1, 2 + plan.settings["max_retries"])
        if random.random() < 0.2:
            faults.refused.append(random.choice(self.account.names))
        for chance, parents in ((0.3, faults.refused_parents), (plan.failing_parents, faults.failing_parents)):
            # Of those that have children.
            pairs = {
                (name, row.root.id): None
                for name in self.account.names
                if declarations()[name].parent
                for row in self.account.rows[name].values()
            }
            if pairs and random.random() < chance:
                parents += random.sample(list(pairs), min(len(pairs), random.randint(1, 2)))
        faults.key_is_refused, faults.is_down = random.random() < 0.03, random.random() < 0.03
        return faults

    # One sync

    def _sync(self, selected: list[str], modes: tuple[str, ...], faults: Faults, may_be_killed: bool) -> str | None:
        """Sync once.

        Returns:
            Why it failed; None: it did not.
        """
        self.counts["syncs"] += 1
        self.trace.append(f"sync at {self._clock.server_time}: {selected} {modes} {faults}")
        self._modes = modes
        self._with_unused_modes = self._streams_with_unused_modes(modes)
        self._server.begin(faults)
        self._destination.begin()
        error: str | None = None
        try:
            self._take(self._lines(selected, modes), may_be_killed)
        except ReadFailed as failure:
            self.counts["failed"] += 1
            error = str(failure.message)
        except Interrupted:
            error = "interrupted"
        self.trace.append(f"ended: {error}")
        if self._loop.problem:
            raise Violation(self._loop.problem)
        for name, root in faults.refused_parents:
            # What a parent's 403 hid is read when the parent changes, or in full.
            if row := self.account.find(declarations()[name].root.name, root):
                self.account.hide_changes(row, name)
        return error

    def _take(self, lines: Iterator[bytes], may_be_killed: bool) -> None:
        """Give the output to the destination, up to a kill."""
        random, destination = self._random, self._destination
        per_line, per_state = 0.0, 0.0
        if may_be_killed and random.random() < 0.7:
            per_state = 1 / random.uniform(1, 8)
        elif may_be_killed:
            per_line = 1 / random.uniform(3, 80)
        states: list[Any] = [destination.kept_state()]
        try:
            for line in lines:
                # Traces have the real time.
                self.trace.append(re.sub(r'"emitted_at":[0-9.e+]+', '"emitted_at":0', line.decode()))
                is_state = destination.take(line)
                if is_state:
                    states.append(destination.kept_state())
                if random.random() < (per_state if is_state else per_line):
                    self.counts["kills"] += 1
                    self.trace.append("killed")
                    if random.random() < 0.2:
                        # The destination has more than the state that it reported.
                        destination.restore_state(random.choice(states))
                        self.trace.append("with an older state")
                    raise Interrupted
        finally:
            lines.close()  # type: ignore[attr-defined]

    def _lines(self, selected: list[str], modes: tuple[str, ...]) -> Iterator[bytes]:
        """The connector's output, line by line."""
        settings = {**SETTINGS, **self.plan.settings, "incident_modes": list(modes)}
        if self.plan.protocol == SINGER:
            selection = read_catalog(self._singer_catalog(selected), discovered())
            saved = read_state(self._destination.state, cursors())
            messages = self._messages(settings, selection.catalog, saved)
            activates = self.plan.settings["activate_versions"]
            output = SingerMessages(selection.catalog, saved, cursors(), activates).lines(messages)
        else:
            saved = read_state(self._destination.state, cursors())
            output = _airbyte_lines(self._messages(settings, self._airbyte_catalog(selected), saved))
        try:
            for lines in output:
                yield from lines.splitlines()
        finally:
            output.close()  # type: ignore[attr-defined]
            if self.plan.protocol == SINGER:
                messages.close()

    def _messages(
        self, settings: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog, saved: SavedState
    ) -> Generator[Message, None, None]:
        plan, clock, random = self.plan, self._clock, self._random
        simulated = Connector(
            client_factory=lambda config, cancellation: SimulatedClient(
                self._server, clock, config.max_retries, cancellation
            ),
            sync_factory=partial(
                Sync,
                new_event_loop=self._new_loop,
                make_workers=lambda count, token: SimulatedWorkers(count, token, clock, random, plan.latency),
            ),
        )
        statuses = Statuses(stream.stream.name for stream in catalog.streams)
        messages = simulated.read(LOGGER, settings, catalog, saved.streams)
        try:
            for message in messages:
                statuses.take(message)
                yield message
            statuses.end()
        except ReadFailed:
            statuses.end()
            raise
        finally:
            messages.close()  # type: ignore[attr-defined]

    def _new_loop(self) -> SimulatedLoop:
        self._loop = SimulatedLoop(self._clock, self._random, self.plan.shuffles)
        return self._loop

    def _singer_catalog(self, selected: list[str]) -> dict[str, Any]:
        entries = []
        for name in selected:
            entry = singer_entries()[name]
            metadata = []
            for item in entry["metadata"]:
                values = dict(item["metadata"])
                if not item["breadcrumb"]:
                    values["selected"] = True
                    if declarations()[name].is_incremental and name in self.plan.full_refresh:
                        values["replication-method"] = "FULL_TABLE"
                elif name == "incidents" and item["breadcrumb"][1] in declarations()[name].nested:
                    values["selected"] = item["breadcrumb"][1] in self.plan.nested
                elif item["breadcrumb"][1] in declarations()[name].stream.detail_columns:
                    values["selected"] = False
                metadata.append({"breadcrumb": item["breadcrumb"], "metadata": values})
            entries.append({**entry, "metadata": metadata})
        return {"streams": entries}

    def _airbyte_catalog(self, selected: list[str]) -> ConfiguredAirbyteCatalog:
        configured = []
        for name in selected:
            declaration = declarations()[name]
            is_incremental = declaration.is_incremental and name not in self.plan.full_refresh
            stream = copy.copy(declaration.discovered)
            hidden = (declaration.nested.keys() - self.plan.nested) | declaration.stream.detail_columns.keys()
            properties = {key: value for key, value in stream.json_schema["properties"].items() if key not in hidden}
            stream.json_schema = {**stream.json_schema, "properties": properties}
            configured.append(
                ConfiguredAirbyteStream(
                    stream=stream,
                    sync_mode=SyncMode.incremental if is_incremental else SyncMode.full_refresh,
                    destination_sync_mode=(
                        DestinationSyncMode.append_dedup if is_incremental else DestinationSyncMode.overwrite
                    ),
                )
            )
        return ConfiguredAirbyteCatalog(streams=configured)

    # Comparison

    def _compare(self, with_unnoticed: bool, with_removed: bool) -> None:
        """Compare the destination with the account, row by row.

        Args:
            with_unnoticed: also the rows whose changes only a full read finds.
            with_removed: also the absence of deleted rows of streams that are read incrementally.

        Raises:
            Violation: they differ.
        """
        expectation = Expectation(self.account, self.plan)
        differences: list[str] = []
        for name in self.plan.selected:
            actual = self._destination.rows(name)
            known: set[Key] = set()
            for row in self.account.rows[name].values():
                data = expectation.data(row)
                key = tuple(data[column] for column in declarations()[name].key)
                known.add(key)
                if not expectation.is_in_scope(row, self._clock.server_time) or (row.unnoticed and not with_unnoticed):
                    continue
                if key not in actual:
                    differences.append(f"{name} {key} is missing: {data}")
                elif (found := expectation.normalized(name, actual[key])) != data:
                    differences.append(f"{name} {key} is {found}, not {data}")
            if self._is_emptied(name, with_removed):
                differences += [f"{name} {key} does not exist any more" for key in actual.keys() - known]
        if differences:
            when = "after the full read" if with_unnoticed else "after the quiet syncs"
            raise Violation("\n".join([f"{len(differences)} differences {when}:", *sorted(differences)[:20]]))

    def _is_emptied(self, name: str, with_removed: bool) -> bool:
        """Whether rows that the account lost must have left the destination."""
        declaration, plan = declarations()[name], self.plan
        is_full = not declaration.is_incremental or name in plan.full_refresh
        if plan.protocol == AIRBYTE:
            return is_full and not declaration.stream.window_parameters
        return (
            (is_full or with_removed)
            and plan.settings["activate_versions"]
            and not declaration.stream.window_parameters
            and "version" not in declaration.schema["properties"]
            and (plan.start_date is None or with_removed)
        )

    def _streams_with_unused_modes(self, modes: tuple[str, ...]) -> set[str]:
        """The streams whose state has positions of modes that the sync leaves out. Their rows stay."""
        states = read_state(self._destination.state, cursors()).streams
        return {
            name
            for name, state in states.items()
            if name in declarations() and StateParser(name, cursors().get(name), modes).parse(state).unused
        }

    def _check_removed(self, name: str, keys: list[Key]) -> None:
        """Check that a version that becomes active removes nothing that exists."""
        if not keys:
            return
        expectation = Expectation(self.account, self.plan)
        for row in self.account.rows[name].values():
            data = expectation.data(row)
            key = tuple(data[column] for column in declarations()[name].key)
            is_dropped = not expectation.has_mode(row, self._modes) and (
                name in self.plan.full_refresh or name not in self._with_unused_modes
            )
            if key in keys and not expectation.is_older_than_start(row) and not is_dropped:
                raise Violation(f"{name} {key} was removed, although it exists")


class Statuses:
    """Checks the order of a run's messages for each stream."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._last: dict[str, str] = {}

    def take(self, message: Message) -> None:
        if isinstance(message, RecordBatch):
            self._check(message.stream, "record", ("RUNNING",))
        elif isinstance(message, CompleteVersion):
            self._check(message.stream, "version", ("STARTED", "RUNNING"))
        elif isinstance(message, StateUpdate):
            self._check(message.stream, "state", ("STARTED", "RUNNING"))
        elif status := message.stream_status:
            name = status.stream_descriptor.name
            before = {"STARTED": ("",), "RUNNING": ("STARTED",)}.get(status.status.value, ("STARTED", "RUNNING"))
            self._check(name, status.status.value, before)
            self._last[name] = status.status.value

    def end(self) -> None:
        """The run has ended by itself: every stream has its outcome."""
        for name in self._names:
            if self._last.get(name) not in ("COMPLETE", "INCOMPLETE"):
                raise ProtocolError(f"{name} has no outcome")

    def _check(self, name: str, what: str, before: tuple[str, ...]) -> None:
        if self._last.get(name, "") not in before:
            raise ProtocolError(f"{name}: {what} after {self._last.get(name) or 'nothing'}")


def _airbyte_lines(messages: Generator[Message, None, None]) -> Generator[bytes, None, None]:
    try:
        for message in messages:
            if isinstance(message, RecordBatch):
                yield message.lines()
            elif isinstance(message, StateUpdate):
                yield message.line()
            elif isinstance(message, AirbyteTraceMessage):
                yield orjson.dumps({"type": "TRACE", "trace": to_json(message)})
    finally:
        messages.close()
