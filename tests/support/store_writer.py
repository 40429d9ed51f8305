"""Writes, as a process of its own, one run's rows of customers 0 to 499: python store_writer.py URL NUMBER EVENT_MINUTE"""

from __future__ import annotations

import sys
from datetime import timedelta

import codec_cases as cases

from featurestore.codec.encode import RowEncoder
from featurestore.codec.layout import run_sequence
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_store


def main(url: str, number: int, minute: int) -> None:
    view = cases.feature_view()
    store = open_store(url)
    instant = cases.NOON + timedelta(minutes=minute)
    rows = [{"customer_id": customer, "orders_7d": number, "event_timestamp": instant} for customer in range(500)]
    encoder = RowEncoder("shop", view, run_sequence(number))
    for start in range(0, len(rows), 50):
        store.write(encoder.encode(cases.batch_of(view, rows[start : start + 50])), WriteMode.NEWEST_WINS)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
