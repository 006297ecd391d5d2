import guide_examples


def test_the_page_of_examples_is_what_the_tests_run() -> None:
    assert not guide_examples.is_stale()
