"""Keras runs on PyTorch here, whatever this machine says; it reads that when it is imported."""

import os

os.environ["KERAS_BACKEND"] = "torch"
