"""The pace: never more than the API's buckets hold, and as much as they hold."""

import heapq
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.api.rate_limit import LARGEST_RESERVE, LONGEST_WAIT, Pace, parse_limits

KEY_ONLY = "1200, 1200;window=60"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def headers(limits: str, remaining: float | str | None = None) -> dict[str, str]:
    found = {"X-RateLimit-Limit": limits}
    if remaining is not None:
        found["X-RateLimit-Remaining"] = str(remaining)
    return found


def informed(limits: str, remaining: float | None = None, endpoint: str = "/a") -> tuple[Pace, Clock]:
    """A pace that has had one answer."""
    clock = Clock()
    pace = Pace(clock)
    assert pace.reserve(endpoint) == 0.0
    pace.answered(endpoint, headers(limits, remaining))
    return pace, clock


def has(pace: Pace, tokens: int, endpoint: str = "/a") -> bool:
    """Whether so many requests may go at once: no more, and no fewer but for what the pace leaves alone."""
    found = next(count for count in range(5000) if pace.reserve(endpoint))
    return tokens - LARGEST_RESERVE - 1 <= found <= tokens


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("60, 1200;window=60, 60;window=60", (60, [(1200, 60), (60, 60)])),
        ("1200, 1200;window=60", (1200, [(1200, 60)])),
        (" 60 ,1200; window=60,60 ;window=60 ", (60, [(1200, 60), (60, 60)])),
        ("60, 60;window=60;burst=5", (60, [(60, 60)])),
        ("60", (60, [(60, 60)])),
        ("60;window=30", (60, [(60, 60)])),
        ("60, 1200;window=0, 60;window=60", (60, [(60, 60)])),
        ("60, 0;window=60", (60, [(60, 60)])),
        ("60, x;window=y, ,;", (60, [(60, 60)])),
        ("60, nan;window=nan, inf;window=inf, 1e99;window=1", (60, [(60, 60)])),
        ("", None),
        ("0, 60;window=60", None),
        ("-1", None),
        ("nan", None),
        ("unlimited", None),
        (", 60;window=60", None),
    ],
)
def test_a_limit_header_of_any_form_is_read(
    header: str, expected: tuple[float, list[tuple[float, float]]] | None
) -> None:
    assert parse_limits(header) == expected


@given(st.text(alphabet="0123456789,;=window-.ex ", max_size=40) | st.text(max_size=20))
def test_any_limit_header_gives_limits_that_can_be_kept_or_none(header: str) -> None:
    found = parse_limits(header)
    if found:
        assert found[0] >= 1
        assert all(1 <= limit < 1e12 and 0 < window < 1e12 for limit, window in found[1])
        assert found[1]


def test_before_the_first_answer_nothing_waits() -> None:
    pace = Pace(Clock())
    assert [pace.reserve("/a") for _ in range(50)] == [0.0] * 50
    assert pace.remaining is None


def test_answers_without_limits_change_nothing() -> None:
    pace = Pace(Clock())
    pace.reserve("/a")
    pace.answered("/a", {})
    pace.answered("/a", headers("soon", "many"))
    assert pace.remaining is None
    assert burst_is_free(pace)


def burst_is_free(pace: Pace) -> bool:
    return not any(pace.reserve("/a") for _ in range(2000))


def test_a_burst_goes_at_once_then_the_rate() -> None:
    pace, clock = informed(KEY_ONLY, 1199)
    assert has(pace, 1199)
    assert has(pace, 0)
    clock.now += pace.reserve("/a") + 1e-6
    assert pace.reserve("/a") == 0.0
    assert pace.reserve("/a") == pytest.approx(1 / 20, abs=1e-5)
    clock.now += 10
    assert has(pace, 201)


def test_the_bucket_does_not_fill_beyond_its_limit() -> None:
    pace, clock = informed("60, 60;window=60", 59)
    clock.now += 3600
    assert has(pace, 60)


def test_a_narrower_limit_of_an_endpoint_binds_that_endpoint_alone() -> None:
    pace, _ = informed("60, 1200;window=60, 60;window=60", 59, "/incidents")
    assert has(pace, 59, "/incidents")
    pace.reserve("/a")
    pace.answered("/a", headers(KEY_ONLY, 1100))
    assert has(pace, 1100 - 59, "/a")
    assert pace.reserve("/incidents") > 0.0


def test_requests_of_a_narrow_endpoint_count_for_the_key_too() -> None:
    pace, _ = informed("60, 100;window=60, 60;window=60", 59, "/incidents")
    pace.reserve("/a")
    pace.answered("/a", headers("100, 100;window=60", 98))
    assert has(pace, 59, "/incidents")
    assert has(pace, 98 - 59, "/a")


def test_what_others_use_of_the_key_is_taken_off() -> None:
    pace, _ = informed(KEY_ONLY, 1199)
    pace.reserve("/a")
    pace.answered("/a", headers(KEY_ONLY, 500))
    assert has(pace, 500)


def test_requests_under_way_are_taken_off_what_remains() -> None:
    pace, _ = informed(KEY_ONLY, 1199)
    for _ in range(10):
        pace.reserve("/a")
    pace.answered("/a", headers(KEY_ONLY, 100))
    assert has(pace, 100 - 9)


def test_a_request_that_ended_without_an_answer_is_not_under_way_any_more() -> None:
    pace, _ = informed(KEY_ONLY, 1199)
    for _ in range(10):
        pace.reserve("/a")
    for _ in range(9):
        pace.abandoned("/a")
    pace.answered("/a", headers(KEY_ONLY, 100))
    assert has(pace, 100)


def test_what_the_api_says_remains_is_believed() -> None:
    pace, _ = informed(KEY_ONLY, 10)
    pace.reserve("/a")
    pace.answered("/a", headers(KEY_ONLY, 1000))
    assert has(pace, 1000)


@pytest.mark.parametrize("remaining", ["-5", "many", "nan", "", None])
def test_a_remaining_that_is_no_number_is_ignored(remaining: str | None) -> None:
    pace, _ = informed("60, 60;window=60", 59)
    pace.reserve("/a")
    pace.answered("/a", headers("60, 60;window=60", remaining))
    assert has(pace, 58)


def test_a_limit_that_shrinks_is_followed() -> None:
    pace, _ = informed(KEY_ONLY, 1199)
    pace.reserve("/a")
    pace.answered("/a", headers("30, 30;window=60"))
    assert has(pace, 30)
    assert 0 < pace.reserve("/a") <= 2.0 * (1 + LARGEST_RESERVE)


def test_a_limit_that_grows_is_followed_at_its_rate() -> None:
    pace, clock = informed("60, 60;window=60", 0)
    pace.reserve("/b")
    pace.answered("/a", headers(KEY_ONLY))
    assert 0 < pace.reserve("/a") <= (1 + LARGEST_RESERVE) / 20
    clock.now += 3600
    assert has(pace, 1200)


def test_an_endpoint_that_lost_its_own_limit_is_bound_by_the_key_alone() -> None:
    pace, _ = informed("60, 1200;window=60, 60;window=60", 0, "/incidents")
    assert pace.reserve("/incidents") > 0
    pace.answered("/incidents", headers(KEY_ONLY, 800))
    assert has(pace, 800, "/incidents")


def test_a_429_blocks_its_endpoint_for_as_long_and_no_other() -> None:
    pace, clock = informed(KEY_ONLY, 1199)
    pace.block("/a", 7)
    pace.block("/a", 3)
    assert pace.reserve("/a") == pytest.approx(7)
    assert pace.reserve("/b") == 0.0
    clock.now += 7
    assert pace.reserve("/a") == 0.0


def test_a_block_is_bounded() -> None:
    pace, _ = informed(KEY_ONLY, 1199)
    pace.block("/a", 1e9)
    assert pace.reserve("/a") == pytest.approx(LONGEST_WAIT)


def test_a_block_works_before_any_limit_is_known() -> None:
    pace = Pace(Clock())
    pace.block("/a", 7)
    assert pace.reserve("/a") == pytest.approx(7)


def test_a_clock_that_jumps_back_takes_nothing_away() -> None:
    pace, clock = informed("60, 60;window=60", 30)
    clock.now -= 1000
    assert has(pace, 30)


def test_a_refused_reservation_takes_nothing() -> None:
    pace, clock = informed("60, 60;window=60", 0)
    for _ in range(100):
        assert pace.reserve("/a") > 0
    clock.now += pace.reserve("/a") + 1e-6
    assert pace.reserve("/a") == 0.0


def test_many_threads_get_no_more_than_there_is() -> None:
    pace, _ = informed("200, 200;window=1000000", 199)
    granted: Counter[float] = Counter()
    lock = threading.Lock()

    def ask() -> None:
        for _ in range(50):
            wait = pace.reserve("/a")
            with lock:
                granted[wait] += 1

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert 199 - LARGEST_RESERVE - 1 <= granted[0.0] <= 199


# Any run


steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "answer", "fail", "pass"]),
        st.sampled_from(["/a", "/incidents"]),
        st.floats(0, 5),
    ),
    max_size=150,
)


@given(st.integers(1, 30), st.integers(1, 20), st.floats(1, 60), steps)
def test_no_stretch_of_any_run_has_more_than_the_limit_and_what_came_back_in_it(
    limit: int, own: int, window: float, run: list[tuple[str, str, float]]
) -> None:
    """Whatever is asked, answered (without a Remaining) and lost, in whatever order: the buckets hold."""
    clock = Clock()
    pace = Pace(clock)
    narrow = own < limit
    of = {
        "/a": f"{limit}, {limit};window={window}",
        "/incidents": f"{own}, {limit};window={window}, {own};window={window}"
        if narrow
        else f"{limit}, {limit};window={window}",
    }
    for endpoint in of:
        pace.reserve(endpoint)
        pace.answered(endpoint, headers(of[endpoint]))
    granted: list[tuple[float, str]] = []
    for action, endpoint, value in run:
        match action:
            case "ask":
                if pace.reserve(endpoint) == 0.0:
                    granted.append((clock.now, endpoint))
            case "answer":
                pace.answered(endpoint, headers(of[endpoint]))
            case "fail":
                pace.abandoned(endpoint)
            case _:
                clock.now += value
    for start in range(len(granted)):
        for end in range(start, len(granted)):
            stretch = granted[start : end + 1]
            passed = stretch[-1][0] - stretch[0][0]
            assert len(stretch) <= limit + passed * limit / window + 1e-6
            if narrow:
                count = sum(endpoint == "/incidents" for _, endpoint in stretch)
                assert count <= own + passed * own / window + 1e-6


class Api:
    """The API's own buckets."""

    def __init__(self, limit: int, own: int, window: float) -> None:
        self.sizes = {"": limit, "/incidents": own}
        self.tokens = {name: float(size) for name, size in self.sizes.items()}
        self.window = window
        self.at = 1000.0
        self.refused = 0

    def ask(self, now: float, endpoint: str) -> dict[str, str]:
        for name, size in self.sizes.items():
            self.tokens[name] = min(size, self.tokens[name] + (now - self.at) * size / self.window)
        self.at = now
        names = ["", endpoint] if endpoint in self.sizes else [""]
        if any(self.tokens[name] < 1 - 1e-9 for name in names):
            self.refused += 1
        for name in names:
            self.tokens[name] -= 1
        binding = min(names, key=lambda name: self.tokens[name])
        listed = ", ".join(f"{self.sizes[name]};window={self.window}" for name in names)
        return headers(f"{self.sizes[binding]}, {listed}", max(0, int(self.tokens[binding])))


@given(
    limit=st.integers(20, 60),
    own=st.integers(12, 19),
    window=st.floats(1, 30),
    workers=st.integers(1, 10),
    delays=st.lists(st.floats(0.001, 3), min_size=1, max_size=40),
    endpoints=st.lists(st.sampled_from(["/a", "/incidents"]), min_size=1, max_size=120),
)
def test_an_api_that_counts_refuses_nothing(
    limit: int,
    own: int,
    window: float,
    workers: int,
    delays: list[float],
    endpoints: list[str],
) -> None:
    """Workers that ask side by side, each request reaching the API at once and its answer coming late."""
    clock = Clock()
    pace = Pace(clock)
    api = Api(limit, own, window)
    todo = list(enumerate(endpoints))
    todo.reverse()
    # By time: a worker is free, or an answer comes.
    events: list[tuple[float, int, str, dict[str, str] | None]] = [
        (clock.now, worker, "", None) for worker in range(workers)
    ]
    order = workers
    for _ in range(20_000):
        if not events:
            break
        clock.now, _, endpoint, answered = heapq.heappop(events)
        if answered is not None:
            pace.answered(endpoint, answered)
        if not todo:
            continue
        number, endpoint = todo[-1]
        wait = pace.reserve(endpoint)
        order += 1
        if wait:
            heapq.heappush(events, (clock.now + wait + 1e-6, order, "", None))
            continue
        todo.pop()
        heapq.heappush(
            events, (clock.now + delays[number % len(delays)], order, endpoint, api.ask(clock.now, endpoint))
        )
    assert not todo, "the run came to its end"
    assert api.refused == 0
