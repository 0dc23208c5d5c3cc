"""Suites and doubles for those who write adapters or tests: conformance suites, a scripted model, fakes."""
