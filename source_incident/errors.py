"""The error for input that the user has to change, and exit codes. Errors of the API are in `api/errors.py`."""

RUN_FAILED, INPUT_ERROR = 1, 2


class InputError(Exception):
    """The command line, config, catalog, state or environment can't be used. The exit code is 2.

    The text is one line: what is wrong, where, what to do. It never holds the API key.

    Args:
        place: where the input came from, such as `config`, `state state.json` or `catalog`; empty: nowhere in
            particular.
        problem: what is wrong, without a full stop at its end.
        advice: what to do about it; empty: the problem says it.
    """

    def __init__(self, place: str, problem: str, advice: str = "") -> None:
        self.place = place
        self.problem = problem
        self.advice = advice
        text = f"{place}: {problem}" if place else problem
        super().__init__(f"{text}. {advice}" if advice else text)
