"""Noise protocols, metrics, curves over noise rates, calibration and statistics."""
