"""An account that moves: records created and changed while they are being read."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from . import words
from .lists import Record, RecordList
from .options import Options
from .times import SECOND, Clock, format_moment

if TYPE_CHECKING:
    from .api import Account

_LISTS = ("incidents", "actions", "follow_ups", "alerts", "escalations", "incident_updates")
_OF_INCIDENTS = ("actions", "follow_ups", "incident_updates")
_BEHIND = 0.4  # the share of changes that are stamped well before they are seen
_TICK = 0.02


class Churn:
    """Changes `options.churn` records a second; which ones, and how, follows from the seed."""

    def __init__(self, account: Account, options: Options, clock: Clock) -> None:
        self._account = account
        self._options = options
        self._clock = clock
        self._random = Random(options.seed ^ 0xC4C4)
        self._task: asyncio.Task[None] | None = None
        self.changes = 0

    def restart(self) -> None:
        """Start, or stop, as the options say; called in the server's loop."""
        self.stop()
        if self._options.churn > 0:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        started, done = loop.time(), 0
        while True:
            await asyncio.sleep(_TICK)
            due = int((loop.time() - started) * self._options.churn)
            for _ in range(min(due - done, 1000)):
                self.change()
            done = due

    def change(self) -> None:
        """One change: a record created, or one changed (also one that was served already)."""
        random = self._random
        name = random.choice(_LISTS)
        records = self._account.lists[name]
        assert isinstance(records, RecordList)
        if not records.length:
            return
        now = self._clock.now_ms()
        stamp = now - random.randrange(SECOND)
        if random.random() < _BEHIND:
            stamp = now - int(random.random() * self._options.churn_behind * SECOND)
        model = records.record(self._some(records))
        if name == "incident_updates" or random.random() < 0.35:
            record = self._created(name, records, model, stamp)
        else:
            record = self._changed(name, model, stamp)
        records.put(record)
        self.changes += 1
        if name in _OF_INCIDENTS and self._options.churn_touch:
            self._touch(str(record["incident_id"]), stamp)

    def _some(self, records: RecordList) -> int:
        """A record that is there, the newer ones more often."""
        while True:
            share = self._random.random() ** 0.5 if self._random.random() < 0.5 else None
            position = int((self._random.random() if share is None else share) * records.length)
            handle = records.handle_at(min(position, records.length - 1))
            if records.find(records.id_of(handle)) is not None:
                return handle

    def _created(self, name: str, records: RecordList, model: Record, stamp: int) -> Record:
        moment = format_moment(stamp)
        record = {**model, "id": records.new_id(stamp), "created_at": moment}
        if name in _OF_INCIDENTS:
            incidents = self._account.lists["incidents"]
            assert isinstance(incidents, RecordList)
            record["incident_id"] = incidents.id_of(self._some(incidents))
        if "updated_at" in model:
            record["updated_at"] = moment
        for key in ("resolved_at", "completed_at"):
            record.pop(key, None)
        if name == "incidents":
            number = records.length + 1
            record["reference"] = f"INC-{number}"
            record["permalink"] = f"https://app.incident.io/example/incidents/{number}"
            record["last_activity_at"] = moment
        if name == "alerts":
            record["deduplication_key"] = f"churn-{self.changes}"
            record["status"] = "firing"
        if name in ("actions", "follow_ups"):
            record["status"] = "outstanding"
        return record

    def _changed(self, name: str, record: Record, stamp: int) -> Record:
        random = self._random
        text = {
            "incidents": "summary",
            "actions": "description",
            "follow_ups": "description",
            "alerts": "description",
            "escalations": "title",
        }[name]
        record[text] = f"{words.paragraph(random, 2)} (change {self.changes})"
        # A change is never stamped before the record was created.
        moment = max(format_moment(stamp), record["created_at"])
        record["updated_at"] = moment
        if name in ("actions", "follow_ups") and random.random() < 0.5:
            record["status"] = "completed"
            record["completed_at"] = moment
        elif name == "alerts":
            record["status"] = "resolved"
            record["resolved_at"] = moment
        elif name == "escalations":
            record["status"] = random.choice(("acked", "resolved"))
        elif name == "incidents":
            self._move(record, moment)
        return record

    def _move(self, incident: Record, moment: str) -> None:
        """An incident goes to another status, now and then to one that the API hides."""
        incident["last_activity_at"] = moment
        statuses = self._account.lists["incident_statuses"]
        assert isinstance(statuses, RecordList)
        if statuses.length and self._random.random() < 0.5:
            incident["incident_status"] = statuses.record(self._random.randrange(statuses.source.count))

    def _touch(self, incident_id: str, stamp: int) -> None:
        incidents = self._account.lists["incidents"]
        assert isinstance(incidents, RecordList)
        handle = incidents.find(incident_id)
        if handle is None:
            return
        incident = incidents.record(handle)
        moment = format_moment(stamp)
        if str(incident.get("updated_at", "")) < moment:
            incident["updated_at"] = moment
            incident["last_activity_at"] = moment
            incidents.put(incident)
