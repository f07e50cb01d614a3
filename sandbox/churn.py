"""Churn: records that are created and changed while the account is read."""

from __future__ import annotations

import asyncio
from random import Random

from sandbox.account import Account, record_list
from sandbox.company import vocabulary
from sandbox.lists import Record, RecordList
from sandbox.options import Options
from sandbox.times import SECOND, Clock, format_moment, parse_moment

_LISTS = ("incidents", "actions", "follow_ups", "alerts", "escalations", "incident_updates")
_INCIDENT_CHILDREN = ("actions", "follow_ups", "incident_updates")
_BEHIND = 0.4  # share of changes with a timestamp well before they become visible
_TICK_SECONDS = 0.02


class Churn:
    """Creates or changes `options.churn` records per second. The seed decides which, and how."""

    def __init__(self, account: Account, options: Options, clock: Clock) -> None:
        self._account = account
        self._options = options
        self._clock = clock
        self._random = Random(options.seed ^ 0xC4C4)
        self._task: asyncio.Task[None] | None = None
        self.changes = 0

    def restart(self) -> None:
        """Start or stop, depending on the options. Call it in the server's event loop."""
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
            await asyncio.sleep(_TICK_SECONDS)
            due = int((loop.time() - started) * self._options.churn)
            for _ in range(min(due - done, 1000)):
                self.change()
            done = due

    def change(self) -> None:
        """Create a record, or change one."""
        random = self._random
        name = random.choice(_LISTS)
        records = record_list(self._account, name)
        if not records.length:
            return
        now = self._clock.now_ms()
        stamp = now - random.randrange(SECOND)
        if random.random() < _BEHIND:
            stamp = now - int(random.random() * self._options.churn_behind * SECOND)
        template = records.record(self._pick(records))
        if name == "incident_updates" or random.random() < 0.35:
            record = self._created(name, records, template, stamp)
        else:
            record = self._changed(name, template, stamp)
        records.put(record)
        self.changes += 1
        if name in _INCIDENT_CHILDREN and self._options.churn_touch:
            self._touch(str(record["incident_id"]), stamp)

    def _pick(self, records: RecordList) -> int:
        """The handle of a record that exists; newer records more often."""
        while True:
            share = self._random.random() ** 0.5 if self._random.random() < 0.5 else None
            position = int((self._random.random() if share is None else share) * records.length)
            handle = records.handle_at(min(position, records.length - 1))
            if records.find(records.id_of(handle)) is not None:
                return handle

    def _created(self, name: str, records: RecordList, template: Record, stamp: int) -> Record:
        moment = format_moment(stamp)
        record = {**template, "id": records.new_id(stamp), "created_at": moment}
        if name in _INCIDENT_CHILDREN:
            incidents = record_list(self._account, "incidents")
            record["incident_id"] = incidents.id_of(self._pick(incidents))
        if "updated_at" in template:
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
        record[text] = f"{vocabulary.paragraph(random, 2)} (change {self.changes})"
        # A change is never older than the record.
        moment = format_moment(max(stamp, parse_moment(record["created_at"]) or 0))
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
            self._change_status(record, moment)
        return record

    def _change_status(self, incident: Record, moment: str) -> None:
        """Give an incident another status, sometimes one that the API hides by default."""
        incident["last_activity_at"] = moment
        statuses = record_list(self._account, "incident_statuses")
        if statuses.length and self._random.random() < 0.5:
            incident["incident_status"] = statuses.record(self._random.randrange(statuses.source.count))

    def _touch(self, incident_id: str, stamp: int) -> None:
        """Update the timestamps of an incident."""
        incidents = record_list(self._account, "incidents")
        handle = incidents.find(incident_id)
        if handle is None:
            return
        incident = incidents.record(handle)
        moment = format_moment(stamp)
        if (parse_moment(str(incident.get("updated_at", ""))) or 0) < stamp:
            incident["updated_at"] = moment
            incident["last_activity_at"] = moment
            incidents.put(incident)
