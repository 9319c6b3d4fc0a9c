"""Figures for the report. Nothing here fails because the machine was busy."""

import measure_churn
import measure_latency
import pytest


@pytest.mark.parametrize("measure", [measure_latency, measure_churn], ids=lambda module: module.__name__)
def test_measure(k8s, request, measure):
    request.config.figures.extend(measure.figures(k8s))
