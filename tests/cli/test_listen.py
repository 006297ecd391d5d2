"""Where to listen, as it is typed."""

import pytest

from lanekeeper.cli.listen import Listen
from lanekeeper.domain.errors import Invalid


@pytest.mark.parametrize("text", ["http://[::1", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.1"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Listen.parse(text)
    assert repr(text) in str(refused.value)
