from hypothesis import given
from hypothesis import strategies as st

from sallygate.parsing.printable import printable


@given(st.text())
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()


def test_what_is_printable_stays_and_the_rest_can_be_read() -> None:
    assert printable("/åäö?q=日本") == "/åäö?q=日本"
    assert printable("a\n\x1b[2J\x9b\u202e\u2028\U000e0001") == r"a\x0a\x1b[2J\x9b\u202e\u2028\U000e0001"
