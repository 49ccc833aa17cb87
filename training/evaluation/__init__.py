"""Noise, metrics, curves over noise rates, calibration, statistics."""
