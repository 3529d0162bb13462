import tracemalloc

import pytest

from raybio.word_cache import WordCache

VALUES = {
    "short words": lambda number: (f"w{number}", ((30_000 + number,), 0)),
    "long words": lambda number: (f"{number}" * 1000, (tuple(range(1000 * number, 1000 * number + 900)), 0)),
    "wide words": lambda number: (f"\U0001f600{number}" * 20, ((1, 2, 3), 0)),
    "lines": lambda number: (f"w{number}", dict.fromkeys(("O", "B-X"), (1000 + number, 2000 + number))),
}


@pytest.mark.parametrize("what", VALUES)
def test_memory_is_bounded_by_bytes_whatever_the_words(what):
    bound = 1 << 20
    cache = WordCache(bound)
    tracemalloc.start()
    try:
        for number in range(20_000 if what != "long words" else 300):
            word, value = VALUES[what](number)
            cache.add(word, value)
            assert cache[word] == value
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.3 * bound < peak < 1.5 * bound
    assert len(cache) < number


def test_what_is_missing_is_named_once_and_in_order():
    cache = WordCache()
    cache.add("b", (1,))
    assert cache.missing(["c", "b", "a", "c"]) == ["c", "a"]
    assert ("b" in cache, "a" in cache, len(cache)) == (True, False, 1)


def test_a_value_larger_than_the_cache_is_kept_until_the_next():
    cache = WordCache(100)
    cache.add("a", tuple(range(100)))
    assert "a" in cache
    cache.add("b", (1,))
    assert ("a" in cache, len(cache)) == (False, 1)
