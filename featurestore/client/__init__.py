"""Read features from a feature server over HTTP, with the answers and the errors of the reader in process.

from featurestore.client import FeatureClient, AsyncFeatureClient
"""

from __future__ import annotations

from .feature_client import AsyncFeatureClient as AsyncFeatureClient
from .feature_client import FeatureClient as FeatureClient

__all__ = ["AsyncFeatureClient", "FeatureClient"]
