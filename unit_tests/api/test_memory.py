"""The memory of answers: one budget, from which failed answers take nothing."""

import pytest

from source_incident.api import PageMemory, TransientError, UnexpectedAnswerError
from source_incident.api import memory as memory_module
from source_incident.api.memory import BUDGET, LARGEST_BUDGET, LARGEST_PAGE, MB, SMALL_PAGE, MemoryBudget
from unit_tests.api.clients import Make, get_error
from unit_tests.api.server import ScriptedServer, answer


@pytest.fixture
def budget() -> MemoryBudget:
    return MemoryBudget(lambda: False)


def test_an_answer_that_failed_holds_no_memory(make: Make) -> None:
    large = answer(content=b'{"x":[' + b"{}," * (5 * MB // 10) + b"{}]}")
    with ScriptedServer(large) as server:
        client = make(server, max_retries=0)
        error = get_error(client, UnexpectedAnswerError)
        assert "would take more than 128 MB of memory" in error.message
        assert client._memory.used == 0, "although the error still exists"


def test_a_small_page_is_free_and_a_large_one_is_reserved(budget: MemoryBudget) -> None:
    page = PageMemory(budget)
    assert budget.reserve(page, SMALL_PAGE) == 0.0
    assert (budget.used, page.total) == (0, SMALL_PAGE)
    budget.reserve(page, SMALL_PAGE + 1)
    assert budget.used > SMALL_PAGE
    del page
    assert budget.used == 0


def test_a_page_over_the_limit_is_rejected(budget: MemoryBudget) -> None:
    with pytest.raises(UnexpectedAnswerError):
        budget.reserve(PageMemory(budget), LARGEST_PAGE + 1)


def test_a_page_that_waits_for_others_does_not_stop_them(budget: MemoryBudget) -> None:
    held, other = PageMemory(budget), PageMemory(budget)
    budget.reserve(held, LARGEST_PAGE)
    budget.read(held)
    held.hold()
    assert budget.reserve(other, BUDGET) < 1
    budget.read(other)
    del held, other
    assert budget.used == 0


def test_a_page_that_waits_never_exceeds_the_largest_budget(
    budget: MemoryBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that reads nothing keeps all pages, and each further one waits."""
    monkeypatch.setattr(memory_module, "PATIENCE", 0.1)
    monkeypatch.setattr(memory_module, "LONGEST_WAIT", 0.5)
    pages = []
    for _ in range(5):
        page = PageMemory(budget)
        try:
            budget.reserve(page, LARGEST_PAGE - MB)
        except TransientError as error:
            assert "other answers held the memory" in str(error)
        budget.read(page)
        pages.append(page)
    assert BUDGET < budget.used <= LARGEST_BUDGET
