"""What a service's metrics say, read as Prometheus reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(client, headers=None) -> Samples:
    """Every sample by its name and labels."""
    response = await client.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(response.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """The one sample of these labels; None when there is none."""
    return samples.get((name, frozenset(labels.items())))


def routes_of(samples: Samples) -> set[str]:
    """The templates that requests were counted under."""
    name = "http_server_request_duration_seconds_count"
    return {dict(labels)["route"] for sample, labels in samples if sample == name}
