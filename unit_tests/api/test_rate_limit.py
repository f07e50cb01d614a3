"""The rate limiter: never more requests than the API's buckets allow, and as many as they allow."""

import heapq
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.api.rate_limit import LARGEST_RESERVE, MAX_WAIT, RateLimiter, parse_limits

KEY_ONLY = "1200, 1200;window=60"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def headers(limits: str, remaining: float | str | None = None) -> dict[str, str]:
    found = {"X-RateLimit-Limit": limits}
    if remaining is not None:
        found["X-RateLimit-Remaining"] = str(remaining)
    return found


def informed(limits: str, remaining: float | None = None, endpoint: str = "/a") -> tuple[RateLimiter, Clock]:
    """A rate limiter after one answer."""
    clock = Clock()
    limiter = RateLimiter(clock)
    assert limiter.reserve(endpoint) == 0.0
    limiter.answered(endpoint, headers(limits, remaining))
    return limiter, clock


def has(limiter: RateLimiter, tokens: int, endpoint: str = "/a") -> bool:
    """Whether this many requests can be sent at once: no more, and no fewer than that less the reserve."""
    found = next(count for count in range(5000) if limiter.reserve(endpoint))
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
def test_parses_a_limit_header_of_any_form(
    header: str, expected: tuple[float, list[tuple[float, float]]] | None
) -> None:
    assert parse_limits(header) == expected


@given(st.text(alphabet="0123456789,;=window-.ex ", max_size=40) | st.text(max_size=20))
def test_any_limit_header_gives_usable_limits_or_none(header: str) -> None:
    found = parse_limits(header)
    if found:
        assert found[0] >= 1
        assert all(1 <= limit < 1e12 and 0 < window < 1e12 for limit, window in found[1])
        assert found[1]


def test_no_request_waits_before_the_first_answer() -> None:
    limiter = RateLimiter(Clock())
    assert [limiter.reserve("/a") for _ in range(50)] == [0.0] * 50
    assert limiter.remaining is None


def test_answers_without_limits_change_nothing() -> None:
    limiter = RateLimiter(Clock())
    limiter.reserve("/a")
    limiter.answered("/a", {})
    limiter.answered("/a", headers("soon", "many"))
    assert limiter.remaining is None
    assert burst_is_free(limiter)


def burst_is_free(limiter: RateLimiter) -> bool:
    return not any(limiter.reserve("/a") for _ in range(2000))


def test_allows_a_burst_then_the_rate() -> None:
    limiter, clock = informed(KEY_ONLY, 1199)
    assert has(limiter, 1199)
    assert has(limiter, 0)
    clock.now += limiter.reserve("/a") + 1e-6
    assert limiter.reserve("/a") == 0.0
    assert limiter.reserve("/a") == pytest.approx(1 / 20, abs=1e-5)
    clock.now += 10
    assert has(limiter, 201)


def test_a_bucket_does_not_fill_beyond_its_limit() -> None:
    limiter, clock = informed("60, 60;window=60", 59)
    clock.now += 3600
    assert has(limiter, 60)


def test_a_narrower_limit_of_an_endpoint_applies_to_that_endpoint_only() -> None:
    limiter, _ = informed("60, 1200;window=60, 60;window=60", 59, "/incidents")
    assert has(limiter, 59, "/incidents")
    limiter.reserve("/a")
    limiter.answered("/a", headers(KEY_ONLY, 1100))
    assert has(limiter, 1100 - 59, "/a")
    assert limiter.reserve("/incidents") > 0.0


def test_requests_of_a_narrow_endpoint_count_for_the_key_too() -> None:
    limiter, _ = informed("60, 100;window=60, 60;window=60", 59, "/incidents")
    limiter.reserve("/a")
    limiter.answered("/a", headers("100, 100;window=60", 98))
    assert has(limiter, 59, "/incidents")
    assert has(limiter, 98 - 59, "/a")


def test_subtracts_what_other_clients_use_of_the_key() -> None:
    limiter, _ = informed(KEY_ONLY, 1199)
    limiter.reserve("/a")
    limiter.answered("/a", headers(KEY_ONLY, 500))
    assert has(limiter, 500)


def test_subtracts_the_requests_in_flight_from_what_remains() -> None:
    limiter, _ = informed(KEY_ONLY, 1199)
    for _ in range(10):
        limiter.reserve("/a")
    limiter.answered("/a", headers(KEY_ONLY, 100))
    assert has(limiter, 100 - 9)


def test_a_request_that_ended_without_an_answer_is_not_in_flight() -> None:
    limiter, _ = informed(KEY_ONLY, 1199)
    for _ in range(10):
        limiter.reserve("/a")
    for _ in range(9):
        limiter.abandoned("/a")
    limiter.answered("/a", headers(KEY_ONLY, 100))
    assert has(limiter, 100)


def test_takes_the_remaining_requests_from_the_api() -> None:
    limiter, _ = informed(KEY_ONLY, 10)
    limiter.reserve("/a")
    limiter.answered("/a", headers(KEY_ONLY, 1000))
    assert has(limiter, 1000)


@pytest.mark.parametrize("remaining", ["-5", "many", "nan", "", None])
def test_ignores_a_remaining_that_is_not_a_number(remaining: str | None) -> None:
    limiter, _ = informed("60, 60;window=60", 59)
    limiter.reserve("/a")
    limiter.answered("/a", headers("60, 60;window=60", remaining))
    assert has(limiter, 58)


def test_follows_a_limit_that_shrinks() -> None:
    limiter, _ = informed(KEY_ONLY, 1199)
    limiter.reserve("/a")
    limiter.answered("/a", headers("30, 30;window=60"))
    assert has(limiter, 30)
    assert 0 < limiter.reserve("/a") <= 2.0 * (1 + LARGEST_RESERVE)


def test_follows_a_limit_that_grows_at_its_rate() -> None:
    limiter, clock = informed("60, 60;window=60", 0)
    limiter.reserve("/b")
    limiter.answered("/a", headers(KEY_ONLY))
    assert 0 < limiter.reserve("/a") <= (1 + LARGEST_RESERVE) / 20
    clock.now += 3600
    assert has(limiter, 1200)


def test_an_endpoint_that_lost_its_own_limit_has_the_limit_of_the_key_only() -> None:
    limiter, _ = informed("60, 1200;window=60, 60;window=60", 0, "/incidents")
    assert limiter.reserve("/incidents") > 0
    limiter.answered("/incidents", headers(KEY_ONLY, 800))
    assert has(limiter, 800, "/incidents")


def test_a_429_blocks_its_endpoint_and_no_other() -> None:
    limiter, clock = informed(KEY_ONLY, 1199)
    limiter.block("/a", 7)
    limiter.block("/a", 3)
    assert limiter.reserve("/a") == pytest.approx(7)
    assert limiter.reserve("/b") == 0.0
    clock.now += 7
    assert limiter.reserve("/a") == 0.0


def test_a_block_is_bounded() -> None:
    limiter, _ = informed(KEY_ONLY, 1199)
    limiter.block("/a", 1e9)
    assert limiter.reserve("/a") == pytest.approx(MAX_WAIT)


def test_a_block_works_before_any_limit_is_known() -> None:
    limiter = RateLimiter(Clock())
    limiter.block("/a", 7)
    assert limiter.reserve("/a") == pytest.approx(7)


def test_a_clock_that_jumps_back_takes_no_tokens() -> None:
    limiter, clock = informed("60, 60;window=60", 30)
    clock.now -= 1000
    assert has(limiter, 30)


def test_a_refused_reservation_takes_no_token() -> None:
    limiter, clock = informed("60, 60;window=60", 0)
    for _ in range(100):
        assert limiter.reserve("/a") > 0
    clock.now += limiter.reserve("/a") + 1e-6
    assert limiter.reserve("/a") == 0.0


def test_many_threads_get_no_more_tokens_than_the_bucket_has() -> None:
    limiter, _ = informed("200, 200;window=1000000", 199)
    granted: Counter[float] = Counter()
    lock = threading.Lock()

    def reserve() -> None:
        for _ in range(50):
            wait = limiter.reserve("/a")
            with lock:
                granted[wait] += 1

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert 199 - LARGEST_RESERVE - 1 <= granted[0.0] <= 199


# Any run

steps = st.lists(
    st.tuples(
        st.sampled_from(["request", "request", "request", "answer", "fail", "pass"]),
        st.sampled_from(["/a", "/incidents"]),
        st.floats(0, 5),
    ),
    max_size=150,
)


@given(st.integers(1, 30), st.integers(1, 20), st.floats(1, 60), steps)
def test_no_interval_of_any_run_has_more_requests_than_the_limit_and_the_refill(
    limit: int, own: int, window: float, run: list[tuple[str, str, float]]
) -> None:
    """The buckets hold for any order of requests, answers without a Remaining, and lost answers."""
    clock = Clock()
    limiter = RateLimiter(clock)
    narrow = own < limit
    of = {
        "/a": f"{limit}, {limit};window={window}",
        "/incidents": f"{own}, {limit};window={window}, {own};window={window}"
        if narrow
        else f"{limit}, {limit};window={window}",
    }
    for endpoint in of:
        limiter.reserve(endpoint)
        limiter.answered(endpoint, headers(of[endpoint]))
    granted: list[tuple[float, str]] = []
    for action, endpoint, value in run:
        match action:
            case "request":
                if limiter.reserve(endpoint) == 0.0:
                    granted.append((clock.now, endpoint))
            case "answer":
                limiter.answered(endpoint, headers(of[endpoint]))
            case "fail":
                limiter.abandoned(endpoint)
            case _:
                clock.now += value
    for start in range(len(granted)):
        for end in range(start, len(granted)):
            interval = granted[start : end + 1]
            passed = interval[-1][0] - interval[0][0]
            assert len(interval) <= limit + passed * limit / window + 1e-6
            if narrow:
                count = sum(endpoint == "/incidents" for _, endpoint in interval)
                assert count <= own + passed * own / window + 1e-6


class Api:
    """The buckets of the API itself."""

    def __init__(self, limit: int, own: int, window: float) -> None:
        self.sizes = {"": limit, "/incidents": own}
        self.tokens = {name: float(size) for name, size in self.sizes.items()}
        self.window = window
        self.at = 1000.0
        self.refused = 0

    def request(self, now: float, endpoint: str) -> dict[str, str]:
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
def test_an_api_that_counts_refuses_no_request(
    limit: int,
    own: int,
    window: float,
    workers: int,
    delays: list[float],
    endpoints: list[str],
) -> None:
    """Concurrent workers. A request reaches the API at once, and its answer takes a while."""
    clock = Clock()
    limiter = RateLimiter(clock)
    api = Api(limit, own, window)
    todo = list(enumerate(endpoints))
    todo.reverse()
    # By time: a worker becomes free, or an answer arrives.
    events: list[tuple[float, int, str, dict[str, str] | None]] = [
        (clock.now, worker, "", None) for worker in range(workers)
    ]
    order = workers
    for _ in range(20_000):
        if not events:
            break
        clock.now, _, endpoint, answered = heapq.heappop(events)
        if answered is not None:
            limiter.answered(endpoint, answered)
        if not todo:
            continue
        number, endpoint = todo[-1]
        wait = limiter.reserve(endpoint)
        order += 1
        if wait:
            heapq.heappush(events, (clock.now + wait + 1e-6, order, "", None))
            continue
        todo.pop()
        heapq.heappush(
            events, (clock.now + delays[number % len(delays)], order, endpoint, api.request(clock.now, endpoint))
        )
    assert not todo, "the run has ended"
    assert api.refused == 0
