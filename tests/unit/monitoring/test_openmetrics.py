"""Readings as text: any label, and every metric of the catalogue, read back by another's parser."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sisgate.domain.latencies import LatencySketch
from sisgate.monitoring.catalogue import CATALOGUE
from sisgate.monitoring.openmetrics import render
from sisgate.monitoring.readings import Readings

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=20)


@given(TEXTS, st.lists(st.floats(0.1, 1e6), min_size=1))
def test_every_metric_can_be_read_back(label: str, latencies: list[float]) -> None:
    """With its kind, its meaning, its labels and its value."""
    readings, sketch = Readings(), LatencySketch(latencies)
    for metric in CATALOGUE:
        labels = [label] * len(metric.labels)
        readings.add(metric, sketch if metric.kind == "histogram" else 3, *labels)
    families = {each.name: each for each in text_string_to_metric_families(render(readings))}
    assert set(families) == {metric.name for metric in CATALOGUE}
    for metric in CATALOGUE:
        family = families[metric.name]
        assert (family.type, family.documentation) == (metric.kind, metric.text)
        assert {sample.name for sample in family.samples} == set(metric.samples)
        for sample in family.samples:
            own = {name: text for name, text in sample.labels.items() if name != "le"}
            assert own == dict.fromkeys(metric.labels, label)
    counts = [s.value for s in families["sisgate_call_seconds"].samples if "le" in s.labels]
    assert counts == sorted(counts)
    assert counts[-1] == len(latencies)


def test_a_metric_without_a_sample_is_left_out() -> None:
    """Its name alone would tell nothing."""
    assert render(Readings()) == "# EOF\n"
