from raybio.corpora.reasons import Reasons, reason_lines


def test_reasons_of_one_kind_are_counted_together_and_the_three_most_frequent_shown():
    reasons = Reasons()
    for number in range(2923):
        reasons.add("a.tsv", f"line {number}", f"'S-Chem{number}' is not an IOB2 tag", "Write O")
    for kind, count in [("too large", 7), ("no JSON", 5), ("no text", 2)]:
        for _ in range(count):
            reasons.add("b.csv", "", kind, "")
    assert reason_lines(reasons.most_frequent()) == [
        "rejected 2,923, such as a.tsv, line 0: 'S-Chem0' is not an IOB2 tag. Write O",
        "rejected 7, such as b.csv: too large",
        "rejected 5, such as b.csv: no JSON",
    ]


def test_kinds_are_kept_within_bounds(monkeypatch):
    monkeypatch.setattr("raybio.corpora.reasons._MAX_KINDS", 2)
    reasons = Reasons()
    for kind in ("a", "b", "c", "a"):
        reasons.add("x", "", kind, "")
    assert [(each.count, each.example) for each in reasons.most_frequent()] == [(2, "x: a"), (1, "x: b")]
